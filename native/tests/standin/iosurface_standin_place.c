/* In place of iosurface_frameworks.c: the stand-in, beside the library itself
 * (the linker's run path is $ORIGIN). */
#include "../../iosurface.h"

const char *const iosurface_library = "libiosurface_standin.so";
const char *const iosurface_corefoundation_library = "libiosurface_standin.so";
