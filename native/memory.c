/* Shared memory; see utm_shim.h. */
#include "platform.h"
#include "utm_shim.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int32_t utm_shim_memory_create(uint64_t size) {
  if (size == 0 || size > INT64_MAX) return -EINVAL;
  return platform_memory(size);
}

/* Returns how many bytes `fd` has, or -errno. Old kernels tell the size of a
 * dmabuf by seeking alone. */
static int64_t size_of(int32_t fd) {
  struct stat info;
  if (fstat(fd, &info) != 0) return -errno;
  if (info.st_size > 0) return info.st_size;
  off_t end = lseek(fd, 0, SEEK_END);
  if (end < 0) return errno == ESPIPE ? -ENODEV : -errno;
  return end;
}

int32_t utm_shim_memory_map(int32_t fd, uint64_t size, int32_t writable, void **at) {
  if (!at) return -EINVAL;
  *at = NULL;
  if (size == 0 || size > SIZE_MAX) return -EINVAL;
  /* A page behind the end can be mapped, and ends us with SIGBUS when it is read. */
  int64_t there = size_of(fd);
  if (there < 0) return (int32_t)there;
  if ((uint64_t)there < size) return -EINVAL;
  int access = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void *mapped = mmap(NULL, (size_t)size, access, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) return -errno;
  *at = mapped;
  return 0;
}

int32_t utm_shim_memory_unmap(void *at, uint64_t size) {
  if (!at || size == 0 || size > SIZE_MAX) return -EINVAL;
  return munmap(at, (size_t)size) == 0 ? 0 : -errno;
}
