/**
 * What the tasks need from the host, as data: how to see that it is there, and the packages that
 * bring it. `tools/setup.ts` acts on it.
 *
 * npm packages are not here: Deno fetches them by `deno.lock`.
 */

/** How one kind of host has a component. */
export interface Source {
  /**
   * The component is there when each of these is: a bare name is a command on PATH, a path a file, in
   * which `*` stands for any one folder.
   */
  present: readonly string[];
  /** Each entry is one package, by its names in the archives that split things differently. */
  packages: readonly (readonly string[])[];
}

/** One thing that a task needs. */
export interface Component {
  /** What it is, for the person who reads what is being installed. */
  what: string;
  /** `demo`: needed to boot `examples/hello.utm`. `all`: by the tests, builds and benchmarks. */
  level: "demo" | "all";
  /** Debian, Ubuntu and kin. */
  linux?: Source;
  /** macOS with Homebrew. */
  darwin?: Source;
  /** Not every archive has it; the tests that need it say so when they skip. */
  optional?: true;
}

/** A QEMU of another architecture; all of them are one package on Homebrew. */
function qemu(guests: string, command: string, ...debian: string[]): Component {
  return {
    what: `QEMU for ${guests} guests`,
    level: "all",
    linux: { present: [command], packages: [debian] },
    darwin: { present: [command], packages: [["qemu"]] },
  };
}

/** Debian's installer for one architecture: a real Linux to boot, kernel and initrd ready made. */
function netboot(architecture: "amd64" | "arm64"): Component {
  const folder = `/usr/lib/debian-installer/images/*/${architecture}/text/debian-installer`;
  return {
    what: `a Linux to boot (${architecture})`,
    level: "all",
    linux: {
      present: [`${folder}/${architecture}/linux`, `${folder}/${architecture}/initrd.gz`],
      packages: [
        ["12", "13"].map((release) => `debian-installer-${release}-netboot-${architecture}`),
      ],
    },
    optional: true,
  };
}

/** Everything, in the order in which it is reported. */
export const COMPONENTS: readonly Component[] = [
  {
    what: "QEMU for x86 guests",
    level: "demo",
    linux: { present: ["qemu-system-x86_64"], packages: [["qemu-system-x86"]] },
    darwin: { present: ["qemu-system-x86_64"], packages: [["qemu"]] },
  },
  {
    what: "SPICE for QEMU",
    level: "demo",
    // Debian 12 has it in the common package, Debian 13 and Ubuntu in one of its own.
    linux: {
      present: ["/usr/lib/*/qemu/ui-spice-core.so", "/usr/lib/*/qemu/chardev-spice.so"],
      packages: [["qemu-system-modules-spice", "qemu-system-common"]],
    },
  },
  qemu("arm", "qemu-system-aarch64", "qemu-system-arm"),
  qemu("ppc", "qemu-system-ppc", "qemu-system-ppc"),
  qemu("ppc64", "qemu-system-ppc64", "qemu-system-ppc"),
  qemu("mips", "qemu-system-mips", "qemu-system-mips"),
  qemu("sparc", "qemu-system-sparc", "qemu-system-sparc"),
  qemu("m68k", "qemu-system-m68k", "qemu-system-misc"),
  qemu("riscv64", "qemu-system-riscv64", "qemu-system-riscv", "qemu-system-misc"),
  qemu("s390x", "qemu-system-s390x", "qemu-system-s390x", "qemu-system-misc"),
  {
    what: "qemu-img",
    level: "all",
    linux: { present: ["qemu-img"], packages: [["qemu-utils"]] },
    darwin: { present: ["qemu-img"], packages: [["qemu"]] },
  },
  {
    what: "UEFI firmware for x86_64 guests", // Homebrew's QEMU brings its own
    level: "all",
    linux: { present: ["/usr/share/OVMF/OVMF_CODE_4M.fd"], packages: [["ovmf"]] },
  },
  {
    what: "UEFI firmware for aarch64 guests",
    level: "all",
    linux: { present: ["/usr/share/AAVMF/AAVMF_CODE.fd"], packages: [["qemu-efi-aarch64"]] },
  },
  {
    what: "a TPM for guests",
    level: "all",
    linux: { present: ["swtpm"], packages: [["swtpm"]] },
    darwin: { present: ["swtpm"], packages: [["swtpm"]] },
  },
  {
    what: "a C compiler", // macOS: Apple's command line tools, which Homebrew itself needs
    level: "all",
    linux: { present: ["cc", "/usr/include/stdio.h"], packages: [["gcc"], ["libc6-dev"]] },
  },
  {
    what: "make",
    level: "all",
    linux: { present: ["make"], packages: [["make"]] },
  },
  {
    what: "ps, with which tests look for what a dead supervisor leaves",
    level: "all",
    linux: { present: ["ps"], packages: [["procps"]] },
  },
  {
    what: "an assembler for x86",
    level: "all",
    linux: { present: ["x86_64-linux-gnu-as"], packages: [["binutils-x86-64-linux-gnu"]] },
    darwin: { present: ["x86_64-elf-as"], packages: [["x86_64-elf-binutils"]] },
  },
  {
    what: "an assembler for aarch64",
    level: "all",
    linux: { present: ["aarch64-linux-gnu-as"], packages: [["binutils-aarch64-linux-gnu"]] },
    darwin: { present: ["aarch64-elf-as"], packages: [["aarch64-elf-binutils"]] },
  },
  {
    what: "libcrypto, for the C program that deno task bench compares with",
    level: "all",
    linux: { present: ["/usr/include/openssl/evp.h"], packages: [["libssl-dev"]] },
    darwin: { present: ["openssl"], packages: [["openssl@3"]] },
  },
  {
    what: "libspice-server and pixman, for the SPICE server that tests draw with",
    level: "all",
    linux: {
      present: [
        "/usr/include/spice-server/spice.h",
        "/usr/include/pixman-1/pixman.h",
        "pkg-config",
      ],
      packages: [["libspice-server-dev"], ["libpixman-1-dev"], ["libglib2.0-dev"], ["pkg-config"]],
    },
  },
  {
    what: "libspice-client-glib, for the client that deno task bench compares ours with",
    level: "all",
    linux: {
      present: ["/usr/include/spice-client-glib-2.0/spice-client.h"],
      packages: [["libspice-client-glib-2.0-dev"]],
    },
  },
  {
    what: "virtio-gpu with OpenGL for QEMU",
    level: "all",
    // Debian 12 has it in the package of QEMU's windows, Debian 13 and Ubuntu in one of its own.
    linux: {
      present: ["/usr/lib/*/qemu/hw-display-virtio-vga-gl.so"],
      packages: [["qemu-system-modules-opengl", "qemu-system-gui"]],
    },
  },
  {
    what: "Mesa's software renderer, for tests of GL without a GPU",
    level: "all",
    linux: {
      present: [
        "/usr/lib/*/libEGL.so.1",
        "/usr/lib/*/libGLESv2.so.2",
        "/usr/lib/*/libEGL_mesa.so.0",
        "/usr/lib/*/dri/swrast_dri.so",
      ],
      packages: [["libegl1"], ["libgles2"], ["libegl-mesa0"], ["libgl1-mesa-dri"]],
    },
  },
  {
    what: "kmscube, for a guest that renders with OpenGL",
    level: "all",
    linux: {
      present: [
        "/usr/bin/kmscube",
        "/usr/lib/*/dri/virtio_gpu_dri.so",
        "/usr/lib/*/libGLESv2.so.2",
      ],
      packages: [["kmscube"], ["libgl1-mesa-dri"], ["libgles2"]],
    },
    optional: true,
  },
  {
    what: "the SPICE guest agent and an X server without a screen, for tests of clipboards",
    level: "all",
    linux: {
      present: ["spice-vdagent", "/usr/sbin/spice-vdagentd", "Xvfb", "xclip", "xrandr"],
      packages: [["spice-vdagent"], ["xvfb"], ["xclip"], ["x11-xserver-utils"]],
    },
  },
  {
    what: "an arm64 Linux without a kernel, on which deno task native:cross runs C tests",
    level: "all",
    linux: {
      present: ["qemu-aarch64", "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1"],
      packages: [["qemu-user"], ["libc6-arm64-cross"]],
    },
    optional: true,
  },
  netboot("amd64"),
  netboot("arm64"),
];
