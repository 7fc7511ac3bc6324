import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { HostError } from "../../lib/base/errors.ts";
import { describedHost } from "../../lib/qemu/described_hosts.ts";
import type { Firmware } from "../../lib/qemu/host_model.ts";
import { all, changes, DIRECTORY, linux, plan } from "./adapt_fixtures.ts";

const debian = describedHost("linux-x86_64", "x86_64").firmware;
const uefi = { qemu: { uefiBoot: true }, system: { cpu: "qemu64" } };
const secure = { ...uefi, qemu: { uefiBoot: true, tpmDevice: true } };
const [FOUR_MIB, TWO_MIB] = [540672, 131072];

const pflash = (result: ReturnType<typeof plan>) =>
  all(result, "-drive").map((it) => /file\.filename=([^,]*)/.exec(it)?.[1]);

Deno.test("buildPlan takes plain firmware, and its template where variables are missing", () => {
  const result = plan(uefi, { host: linux({ firmware: debian }) });
  assertEquals(pflash(result), [
    "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "/vm/Test.utm/Data/efi_vars.fd",
  ]);
  assertEquals(result.efiVarsTemplate, "/usr/share/OVMF/OVMF_VARS_4M.fd");
  assertEquals(result.substitutions, []);
});

Deno.test("buildPlan wants no template where the bundle has its variables", () => {
  const files = { efiVarsBytes: FOUR_MIB };
  const result = plan(uefi, { host: linux({ firmware: debian }), files });
  assertEquals(result.efiVarsTemplate, undefined);
});

Deno.test("buildPlan with a TPM takes Secure Boot, with SMM and enrolled keys", () => {
  const result = plan(secure, { host: linux({ firmware: debian }) });
  assertEquals(pflash(result)[0], "/usr/share/OVMF/OVMF_CODE_4M.ms.fd");
  assertEquals(result.efiVarsTemplate, "/usr/share/OVMF/OVMF_VARS_4M.ms.fd");
  assertStringIncludes(all(result, "-machine")[0]!, "smm=on");
  assertEquals(
    all(result, "-global").includes("driver=cfi.pflash01,property=secure,value=on"),
    true,
  );
});

Deno.test("buildPlan falls back to firmware of the other kind and says so", () => {
  const plain = debian.filter((it) => !it.secureBoot);
  assertEquals(
    changes(plan(secure, { host: linux({ firmware: plain }) })),
    ["QEMU.TPMDevice: Secure Boot -> plain UEFI"],
  );
  const onlySecure = debian.filter((it) => it.secureBoot);
  assertEquals(
    changes(plan(uefi, { host: linux({ firmware: onlySecure }) })),
    ["QEMU.UEFIBoot: plain UEFI -> Secure Boot"],
  );
});

Deno.test("buildPlan matches descriptors against the machine's full name", () => {
  const pc = { ...secure, system: { ...secure.system, target: "pc" } };
  const result = plan(pc, { host: linux({ firmware: debian }) });
  assertEquals(pflash(result)[0], "/usr/share/OVMF/OVMF_CODE_4M.fd"); // secure ones want q35
});

Deno.test("buildPlan fails where no firmware goes with the bundle's variables", () => {
  const error = assertThrows(
    () => plan(uefi, { host: linux({ firmware: debian }), files: { efiVarsBytes: TWO_MIB } }),
    HostError,
  );
  assertStringIncludes(error.message, "131072 bytes");
});

Deno.test("buildPlan without UEFI firmware names the package", () => {
  const error = assertThrows(() => plan(uefi), HostError);
  assertStringIncludes(error.hint ?? "", "apt install ovmf");
});

Deno.test("buildPlan maps firmware as its descriptor says", () => {
  const base: Firmware = { ...debian.find((it) => !it.secureBoot)!, machines: [] };
  const memory = plan(uefi, { host: linux({ firmware: [{ ...base, device: "memory" }] }) });
  assertEquals([all(memory, "-bios"), pflash(memory)], [[base.code], []]);

  const { varsTemplate: _, varsTemplateBytes: __, ...stateless } = base;
  const combined = plan(uefi, { host: linux({ firmware: [stateless] }) });
  assertEquals(pflash(combined), [base.code]);

  const fedora: Firmware = { ...base, codeFormat: "qcow2", varsFormat: "qcow2" };
  const qcow2 = plan(uefi, { host: linux({ firmware: [fedora] }) });
  assertEquals(qcow2.efiVarsTemplateFormat, "qcow2");
  assertStringIncludes(all(qcow2, "-drive")[0]!, "format=qcow2");
  assertStringIncludes(all(qcow2, "-drive")[1]!, "format=raw");
});

Deno.test("buildPlan starts swtpm on the bundle's state", () => {
  const result = plan(secure, { host: linux({ firmware: debian }) });
  assertEquals(result.helpers[0], {
    name: "swtpm",
    argv: [
      "/usr/bin/swtpm",
      "socket",
      "--tpm2",
      "--ctrl",
      `type=unixio,path=${DIRECTORY}/swtpm`,
      "--terminate",
      "--tpmstate",
      "backend-uri=file:///vm/Test.utm/Data/tpmdata",
    ],
    socket: `${DIRECTORY}/swtpm`,
  });
  assertEquals(all(result, "-chardev").at(-1), `socket,id=chrtpm0,path=${DIRECTORY}/swtpm`);
});

Deno.test("buildPlan gives an old swtpm, or a path with a comma, a copy of the state", () => {
  const copy = `${DIRECTORY}/tpm/tpm2-00.permall`;
  const old = plan(secure, { host: linux({ firmware: debian, swtpmVersion: [0, 6] }) });
  assertEquals(old.helpers[0]?.argv.at(-1), `dir=${DIRECTORY}/tpm`);
  assertEquals(old.helpers[0]?.state, { file: "/vm/Test.utm/Data/tpmdata", copy });
  const tpmState = "/vm/a,b.utm/Data/tpmdata";
  const comma = plan(secure, { host: linux({ firmware: debian }), files: { tpmState } });
  assertEquals(comma.helpers[0]?.state, { file: tpmState, copy });
});

Deno.test("buildPlan fails without swtpm rather than start without the TPM", () => {
  const host = linux({ firmware: debian, swtpm: null });
  const error = assertThrows(() => plan(secure, { host }), HostError);
  assertStringIncludes(error.hint ?? "", "swtpm");
});
