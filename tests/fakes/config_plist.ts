/** A valid configuration to change in one place, for tests. */
import type { PlistValue } from "../../lib/utm/plist.ts";

/** A mutable dictionary. */
export type Dict = Map<string, PlistValue>;

/** A dictionary from a record. */
export function dict(record: Record<string, PlistValue>): Dict {
  return new Map(Object.entries(record));
}

/** A version 4 configuration with one entry in each section. */
export function configPlist(): Dict {
  return dict({
    Backend: "QEMU",
    ConfigurationVersion: 4,
    Information: dict({
      Name: "Test",
      IconCustom: false,
      UUID: "6f5d5c1b-2e0c-4b7a-9c55-8c1c0b6a7e01",
    }),
    System: dict({
      Architecture: "x86_64",
      Target: "q35",
      CPU: "default",
      CPUFlagsAdd: [],
      CPUFlagsRemove: [],
      CPUCount: 2,
      ForceMulticore: false,
      MemorySize: 1024,
      JITCacheSize: 0,
    }),
    QEMU: dict({
      DebugLog: false,
      UEFIBoot: false,
      RNGDevice: true,
      BalloonDevice: false,
      TPMDevice: false,
      Hypervisor: true,
      RTCLocalTime: false,
      PS2Controller: false,
      AdditionalArguments: [],
    }),
    Input: dict({ UsbBusSupport: "3.0", UsbSharing: true, MaximumUsbShare: 3 }),
    Sharing: dict({
      DirectoryShareMode: "None",
      DirectoryShareReadOnly: false,
      ClipboardSharing: true,
    }),
    Display: [dict({
      Hardware: "virtio-vga",
      DynamicResolution: true,
      UpscalingFilter: "Nearest",
      DownscalingFilter: "Linear",
      NativeResolution: false,
    })],
    Drive: [
      dict({
        Identifier: "disk",
        ImageName: "disk.qcow2",
        ImageType: "Disk",
        Interface: "VirtIO",
        InterfaceVersion: 1,
      }),
      dict({ Identifier: "cd", ImageType: "CD", Interface: "USB", InterfaceVersion: 1 }),
    ],
    Network: [dict({
      Mode: "Emulated",
      Hardware: "e1000",
      MacAddress: "52:54:00:12:34:56",
      IsolateFromHost: false,
      PortForward: [dict({ Protocol: "TCP", HostPort: 2222, GuestPort: 22 })],
    })],
    Serial: [dict({ Mode: "Terminal", Target: "Auto", Terminal: dict({ Font: "Menlo" }) })],
    Sound: [dict({ Hardware: "intel-hda" })],
  });
}

/**
 * Changes the value at a key path such as `Drive[0].Interface`; undefined removes it. The parts on
 * the way must be there.
 */
export function change(root: Dict, path: string, value: PlistValue | undefined): Dict {
  const keys = path.split(/[.[\]]+/).filter((key) => key !== "");
  const last = keys.pop()!;
  let at: PlistValue = root;
  for (const key of keys) {
    at = (Array.isArray(at) ? at[Number(key)] : (at as Dict).get(key))!;
  }
  if (Array.isArray(at)) at.splice(Number(last), 1, ...(value === undefined ? [] : [value]));
  else if (value === undefined) (at as Dict).delete(last);
  else (at as Dict).set(last, value);
  return root;
}
