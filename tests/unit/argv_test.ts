import { assertEquals } from "@std/assert";
import { utmOptions } from "../../lib/qemu/argv.ts";
import { toArgv } from "../../lib/qemu/option.ts";
import { config, display, drive, files, mac, network, options, serial } from "./argv_fixtures.ts";

Deno.test("utmOptions gives UTM's line in UTM's order", () => {
  const vm = config({
    information: { name: "Mac OS 7.5.5 (x)" },
    system: { architecture: "aarch64", target: "virt", memorySize: 2048 },
    qemu: {
      uefiBoot: true,
      rngDevice: true,
      hypervisor: true,
      additionalArguments: ['-append "a b"'],
    },
    input: { usbBusSupport: "3.0", maximumUsbShare: 1 },
    sharing: { clipboardSharing: true },
    displays: [display("virtio-ramfb")],
    drives: [drive({ imageName: "a,b.qcow2", identifier: "A-B" })],
    networks: [network({ mode: "Shared", hardware: "virtio-net-pci" })],
    serials: [serial()],
    sounds: [{ hardware: "intel-hda" }],
  });
  const argv = toArgv(utmOptions(vm, files(vm), mac("aarch64"), options()));
  const uuid = vm.information.uuid;
  assertEquals(
    argv.join("\n"),
    `-L
/res
-S
-spice
unix=on,addr=${uuid}.spice,disable-ticketing=on,image-compression=off,playback-compression=off,streaming-video=off,gl=off
-chardev
spiceport,name=org.qemu.monitor.qmp.0,id=org.qemu.monitor.qmp
-mon
chardev=org.qemu.monitor.qmp,mode=control
-nodefaults
-vga
none
-device
virtio-net-pci,mac=52:54:00:00:00:01,netdev=net0
-netdev
vmnet-shared,id=net0
-device
virtio-ramfb
-chardev
spiceport,id=term0,name=com.utmapp.terminal.0
-serial
chardev:term0
-cpu
host
-smp
cpus=4,sockets=1,cores=4,threads=1
-machine
virt
-accel
hvf
-drive
if=pflash,format=raw,unit=0,file.filename=/res/edk2-aarch64-code.fd,file.locking=off,readonly=on
-drive
if=pflash,format=raw,unit=1,file.filename=/vm/Test.utm/Data/efi_vars.fd
-m
2048
-audiodev
spice,id=audio0
-device
intel-hda
-device
hda-duplex,audiodev=audio0
-device
nec-usb-xhci,id=usb-bus
-device
usb-tablet,bus=usb-bus.0
-device
usb-mouse,bus=usb-bus.0
-device
usb-kbd,bus=usb-bus.0
-device
qemu-xhci,id=usb-controller-0
-chardev
spicevmc,name=usbredir,id=usbredirchardev0
-device
usb-redir,chardev=usbredirchardev0,id=usbredirdev0,bus=usb-controller-0.0
-device
virtio-blk-pci,drive=driveA-B,serial=AB,bootindex=0
-drive
if=none,media=disk,id=driveA-B,format=qcow2,file.filename=/vm/Test.utm/Data/a,,b.qcow2,discard=unmap,detect-zeroes=unmap
-device
virtio-serial
-device
virtserialport,chardev=org.qemu.guest_agent,name=org.qemu.guest_agent.0
-chardev
spiceport,name=org.qemu.guest_agent.0,id=org.qemu.guest_agent
-device
virtserialport,chardev=vdagent,name=com.redhat.spice.0
-chardev
spicevmc,id=vdagent,debug=0,name=vdagent
-name
Mac OS 755 x
-uuid
${uuid}
-device
virtio-rng-pci
-append
a b`,
  );
});
