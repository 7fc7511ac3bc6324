/**
 * Machines that UTM knows today, and the ones it assumed in old files; only migrations need them.
 *
 * Source: UTM 5.0.3, `QEMUConstantGenerated.swift` (from QEMU 10.0) and `UTMLegacyQemuConfiguration`.
 */

/** The machines of one architecture. */
export interface KnownTargets {
  /** What UTM takes when a file names a machine that is not in the list. */
  defaultTarget: string;
  /** Names, separated by blanks. */
  targets: string;
}

/** Machines by architecture. */
export const KNOWN_TARGETS: Readonly<Record<string, KnownTargets>> = {
  alpha: {
    defaultTarget: "clipper",
    targets: "clipper none",
  },
  arm: {
    defaultTarget: "virt",
    targets: "integratorcp kzm mps2-an385 mps2-an386 mps2-an500 mps2-an505 mps2-an511 mps2-an521 " +
      "mps3-an524 mps3-an536 mps3-an547 musca-a musca-b1 realview-eb-mpcore realview-eb " +
      "realview-pbx-a9 realview-pb-a8 vexpress-a15 vexpress-a9 versatileab versatilepb " +
      "imx25-pdk ast1030-evb ast2500-evb ast2600-evb b-l475e-iot01a microbit bpim2u " +
      "g220a-bmc highbank midway canon-a1100 bletchley-bmc fuji-bmc tiogapass-bmc " +
      "yosemitev2-bmc fby35-bmc sabrelite mcimx6ul-evk mcimx7d-sabre rainier-bmc " +
      "fp5280g2-bmc kudo-bmc musicpal fby35 mori-bmc netduino2 netduinoplus2 npcm750-evb " +
      "sonorapass-bmc olimex-stm32-h405 palmetto-bmc romulus-bmc witherspoon-bmc " +
      "orangepi-pc virt virt-10.0 virt-2.10 virt-2.11 virt-2.12 virt-2.6 virt-2.7 virt-2.8 " +
      "virt-2.9 virt-3.0 virt-3.1 virt-4.0 virt-4.1 virt-4.2 virt-5.0 virt-5.1 virt-5.2 " +
      "virt-6.0 virt-6.1 virt-6.2 virt-7.0 virt-7.1 virt-7.2 virt-8.0 virt-8.1 virt-8.2 " +
      "virt-9.0 virt-9.1 virt-9.2 qcom-dc-scm-v1-bmc qcom-firework-bmc quanta-gbs-bmc " +
      "quanta-gsj quanta-q71l-bmc raspi2b raspi1ap raspi0 stm32vldiscovery nuri smdkc210 " +
      "collie sx1-v1 sx1 emcraft-sf2 lm3s6965evb lm3s811evb supermicrox11-bmc " +
      "supermicro-x11spi-bmc xilinx-zynq-a9 cubieboard none",
  },
  aarch64: {
    defaultTarget: "virt",
    targets: "integratorcp kzm mps2-an385 mps2-an386 mps2-an500 mps2-an505 mps2-an511 mps2-an521 " +
      "mps3-an524 mps3-an536 mps3-an547 musca-a musca-b1 realview-eb-mpcore realview-eb " +
      "realview-pbx-a9 realview-pb-a8 vexpress-a15 vexpress-a9 versatileab versatilepb " +
      "imx25-pdk vmapple ast1030-evb ast2500-evb ast2600-evb ast2700-evb ast2700a0-evb " +
      "ast2700a1-evb b-l475e-iot01a microbit bpim2u g220a-bmc highbank midway canon-a1100 " +
      "bletchley-bmc fuji-bmc tiogapass-bmc yosemitev2-bmc fby35-bmc sabrelite mcimx6ul-evk " +
      "mcimx7d-sabre rainier-bmc fp5280g2-bmc kudo-bmc musicpal fby35 mori-bmc imx8mp-evk " +
      "netduino2 netduinoplus2 npcm750-evb npcm845-evb sonorapass-bmc olimex-stm32-h405 " +
      "palmetto-bmc romulus-bmc witherspoon-bmc orangepi-pc sbsa-ref virt virt-10.0 " +
      "virt-2.10 virt-2.11 virt-2.12 virt-2.6 virt-2.7 virt-2.8 virt-2.9 virt-3.0 virt-3.1 " +
      "virt-4.0 virt-4.1 virt-4.2 virt-5.0 virt-5.1 virt-5.2 virt-6.0 virt-6.1 virt-6.2 " +
      "virt-7.0 virt-7.1 virt-7.2 virt-8.0 virt-8.1 virt-8.2 virt-9.0 virt-9.1 virt-9.2 " +
      "qcom-dc-scm-v1-bmc qcom-firework-bmc quanta-gbs-bmc quanta-gsj quanta-q71l-bmc " +
      "raspi2b raspi3ap raspi3b raspi4b raspi1ap raspi0 stm32vldiscovery nuri smdkc210 " +
      "collie sx1-v1 sx1 emcraft-sf2 lm3s6965evb lm3s811evb supermicrox11-bmc " +
      "supermicro-x11spi-bmc xlnx-versal-virt xilinx-zynq-a9 xlnx-zcu102 cubieboard none",
  },
  avr: {
    defaultTarget: "mega",
    targets: "2009 arduino-duemilanove mega arduino-mega mega2560 arduino-mega-2560-v3 uno " +
      "arduino-uno none",
  },
  hppa: {
    defaultTarget: "B160L",
    targets: "B160L C3700 none",
  },
  i386: {
    defaultTarget: "q35",
    targets: "isapc q35 pc-q35-2.10 pc-q35-2.11 pc-q35-2.12 pc-q35-2.4 pc-q35-2.5 pc-q35-2.6 " +
      "pc-q35-2.7 pc-q35-2.8 pc-q35-2.9 pc-q35-3.0 pc-q35-3.1 pc-q35-4.0 pc-q35-4.0.1 " +
      "pc-q35-4.1 pc-q35-4.2 pc-q35-5.0 pc-q35-5.1 pc-q35-5.2 pc-q35-6.0 pc-q35-6.1 " +
      "pc-q35-6.2 pc-q35-7.0 pc-q35-10.0 pc-q35-7.1 pc-q35-7.2 pc-q35-8.0 pc-q35-8.1 " +
      "pc-q35-8.2 pc-q35-9.0 pc-q35-9.1 pc-q35-9.2 pc pc-i440fx-10.0 pc-i440fx-2.10 " +
      "pc-i440fx-2.11 pc-i440fx-2.12 pc-i440fx-2.4 pc-i440fx-2.5 pc-i440fx-2.6 " +
      "pc-i440fx-2.7 pc-i440fx-2.8 pc-i440fx-2.9 pc-i440fx-3.0 pc-i440fx-3.1 pc-i440fx-4.0 " +
      "pc-i440fx-4.1 pc-i440fx-4.2 pc-i440fx-5.0 pc-i440fx-5.1 pc-i440fx-5.2 pc-i440fx-6.0 " +
      "pc-i440fx-6.1 pc-i440fx-6.2 pc-i440fx-7.0 pc-i440fx-7.1 pc-i440fx-7.2 pc-i440fx-8.0 " +
      "pc-i440fx-8.1 pc-i440fx-8.2 pc-i440fx-9.0 pc-i440fx-9.1 pc-i440fx-9.2 none microvm",
  },
  loongarch64: {
    defaultTarget: "virt",
    targets: "virt none",
  },
  m68k: {
    defaultTarget: "mcf5208evb",
    targets:
      "an5206 mcf5208evb q800 next-cube virt virt-10.0 virt-6.0 virt-6.1 virt-6.2 virt-7.0 " +
      "virt-7.1 virt-7.2 virt-8.0 virt-8.1 virt-8.2 virt-9.0 virt-9.1 virt-9.2 none",
  },
  microblaze: {
    defaultTarget: "petalogix-s3adsp1800",
    targets: "petalogix-s3adsp1800 petalogix-ml605 xlnx-zynqmp-pmu none",
  },
  microblazeel: {
    defaultTarget: "petalogix-s3adsp1800",
    targets: "petalogix-s3adsp1800 petalogix-ml605 xlnx-zynqmp-pmu none",
  },
  mips: {
    defaultTarget: "malta",
    targets: "mipssim malta none",
  },
  mipsel: {
    defaultTarget: "malta",
    targets: "mipssim malta none",
  },
  mips64: {
    defaultTarget: "malta",
    targets: "pica61 mipssim magnum malta none",
  },
  mips64el: {
    defaultTarget: "malta",
    targets: "pica61 fuloong2e loongson3-virt boston mipssim magnum malta none",
  },
  or1k: {
    defaultTarget: "or1k-sim",
    targets: "none or1k-sim virt",
  },
  ppc: {
    defaultTarget: "g3beige",
    targets: "amigaone pegasos2 g3beige 40p mac99 virtex-ml507 sam460ex bamboo none ppce500 " +
      "mpc8544ds",
  },
  ppc64: {
    defaultTarget: "pseries-10.0",
    targets:
      "amigaone pegasos2 g3beige powernv powernv10 powernv10-rainier powernv8 powernv9 40p " +
      "mac99 virtex-ml507 sam460ex bamboo none ppce500 mpc8544ds pseries pseries-10.0 " +
      "pseries-3.0 pseries-3.1 pseries-4.0 pseries-4.1 pseries-4.2 pseries-5.0 pseries-5.1 " +
      "pseries-5.2 pseries-6.0 pseries-6.1 pseries-6.2 pseries-7.0 pseries-7.1 pseries-7.2 " +
      "pseries-8.0 pseries-8.1 pseries-8.2 pseries-9.0 pseries-9.1 pseries-9.2",
  },
  riscv32: {
    defaultTarget: "spike",
    targets: "amd-microblaze-v-generic opentitan sifive_e sifive_u spike virt none",
  },
  riscv64: {
    defaultTarget: "virt",
    targets:
      "amd-microblaze-v-generic microchip-icicle-kit shakti_c sifive_e sifive_u spike virt " +
      "none",
  },
  rx: {
    defaultTarget: "gdbsim-r5f562n7",
    targets: "none gdbsim-r5f562n7 gdbsim-r5f562n8",
  },
  s390x: {
    defaultTarget: "s390-ccw-virtio-10.0",
    targets: "s390-ccw-virtio s390-ccw-virtio-10.0 s390-ccw-virtio-2.10 s390-ccw-virtio-2.11 " +
      "s390-ccw-virtio-2.12 s390-ccw-virtio-2.9 s390-ccw-virtio-3.0 s390-ccw-virtio-3.1 " +
      "s390-ccw-virtio-4.0 s390-ccw-virtio-4.1 s390-ccw-virtio-4.2 s390-ccw-virtio-5.0 " +
      "s390-ccw-virtio-5.1 s390-ccw-virtio-5.2 s390-ccw-virtio-6.0 s390-ccw-virtio-6.1 " +
      "s390-ccw-virtio-6.2 s390-ccw-virtio-7.0 s390-ccw-virtio-7.1 s390-ccw-virtio-7.2 " +
      "s390-ccw-virtio-8.0 s390-ccw-virtio-8.1 s390-ccw-virtio-8.2 s390-ccw-virtio-9.0 " +
      "s390-ccw-virtio-9.1 s390-ccw-virtio-9.2 none",
  },
  sh4: {
    defaultTarget: "none",
    targets: "none r2d",
  },
  sh4eb: {
    defaultTarget: "none",
    targets: "none r2d",
  },
  sparc: {
    defaultTarget: "SS-5",
    targets: "leon3_generic SPARCClassic SPARCbook SS-600MP SS-10 SS-20 SS-4 SS-5 LX Voyager none",
  },
  sparc64: {
    defaultTarget: "sun4u",
    targets: "sun4u sun4v niagara none",
  },
  tricore: {
    defaultTarget: "tricore_testboard",
    targets: "KIT_AURIX_TC277_TRB tricore_testboard none",
  },
  x86_64: {
    defaultTarget: "q35",
    targets: "isapc q35 pc-q35-2.10 pc-q35-2.11 pc-q35-2.12 pc-q35-2.4 pc-q35-2.5 pc-q35-2.6 " +
      "pc-q35-2.7 pc-q35-2.8 pc-q35-2.9 pc-q35-3.0 pc-q35-3.1 pc-q35-4.0 pc-q35-4.0.1 " +
      "pc-q35-4.1 pc-q35-4.2 pc-q35-5.0 pc-q35-5.1 pc-q35-5.2 pc-q35-6.0 pc-q35-6.1 " +
      "pc-q35-6.2 pc-q35-7.0 pc-q35-10.0 pc-q35-7.1 pc-q35-7.2 pc-q35-8.0 pc-q35-8.1 " +
      "pc-q35-8.2 pc-q35-9.0 pc-q35-9.1 pc-q35-9.2 pc pc-i440fx-10.0 pc-i440fx-2.10 " +
      "pc-i440fx-2.11 pc-i440fx-2.12 pc-i440fx-2.4 pc-i440fx-2.5 pc-i440fx-2.6 " +
      "pc-i440fx-2.7 pc-i440fx-2.8 pc-i440fx-2.9 pc-i440fx-3.0 pc-i440fx-3.1 pc-i440fx-4.0 " +
      "pc-i440fx-4.1 pc-i440fx-4.2 pc-i440fx-5.0 pc-i440fx-5.1 pc-i440fx-5.2 pc-i440fx-6.0 " +
      "pc-i440fx-6.1 pc-i440fx-6.2 pc-i440fx-7.0 pc-i440fx-7.1 pc-i440fx-7.2 pc-i440fx-8.0 " +
      "pc-i440fx-8.1 pc-i440fx-8.2 pc-i440fx-9.0 pc-i440fx-9.1 pc-i440fx-9.2 none microvm",
  },
  xtensa: {
    defaultTarget: "sim",
    targets: "none kc705 kc705-nommu lx200 lx200-nommu lx60 lx60-nommu ml605 ml605-nommu sim virt",
  },
  xtensaeb: {
    defaultTarget: "sim",
    targets: "none kc705 kc705-nommu lx200 lx200-nommu lx60 lx60-nommu ml605 ml605-nommu sim virt",
  },
};

/** The machine that an old file without `System.Target` means, by architecture. */
export const LEGACY_DEFAULT_TARGETS: Readonly<Record<string, string>> = {
  alpha: "clipper",
  arm: "virt",
  aarch64: "virt",
  avr: "mega",
  cris: "axis-dev88",
  hppa: "hppa",
  i386: "q35",
  m68k: "mcf5208evb",
  ppc: "g3beige",
  ppc64: "pseries",
  riscv32: "spike",
  riscv64: "spike",
  s390x: "s390-ccw-virtio",
  sparc: "SS-5",
  sparc64: "sun4u",
  x86_64: "q35",
  microblaze: "petalogix-s3adsp1800",
  microblazeel: "petalogix-s3adsp1800",
  mips: "malta",
  mipsel: "malta",
  mips64: "malta",
  mips64el: "malta",
  nios2: "10m50-ghrd",
  or1k: "or1k-sim",
  rx: "gdbsim-r5f562n7",
  sh4: "shix",
  sh4eb: "shix",
  tricore: "tricore_testboard",
  xtensa: "sim",
  xtensaeb: "sim",
};
