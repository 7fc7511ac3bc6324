import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { BundleError, HostError, HostFailure, UsageError } from "../../lib/base/errors.ts";
import { openBundle, resolveFiles } from "../../lib/utm/bundle.ts";
import { ensureEfiVars } from "../../lib/utm/own_files.ts";
import type { PlistValue } from "../../lib/utm/plist.ts";
import { change, configPlist } from "../fakes/config_plist.ts";
import { toXmlPlist } from "../fakes/xml_plist.ts";

/** A bundle of its own, with the changes given by key path, that is removed at the end. */
async function temporaryBundle(changes: Record<string, PlistValue | undefined> = {}) {
  const root = await Deno.realPath(await Deno.makeTempDir({ prefix: "utmost-bundle-" }));
  const path = `${root}/My VM.utm`;
  await Deno.mkdir(`${path}/Data`, { recursive: true });
  const plist = configPlist();
  change(plist, "Drive[0].ImageName", "disk.img");
  for (const [key, value] of Object.entries(changes)) change(plist, key, value);
  await Deno.writeTextFile(`${path}/config.plist`, toXmlPlist(plist));
  await Deno.writeFile(`${path}/Data/disk.img`, new Uint8Array(512));
  return { root, path, [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }) };
}

Deno.test("openBundle finds a bundle by its folder, a link, a slash, its config.plist", async () => {
  await using made = await temporaryBundle();
  await Deno.symlink(made.path, `${made.root}/link`);
  const ways = ["My VM.utm", "My VM.utm/", "My VM.utm//", "link", "link/", "link/config.plist"];
  for (const way of [...ways, "My VM.utm/config.plist", "./My VM.utm/../link"]) {
    const bundle = await openBundle(`${made.root}/${way}`);
    assertEquals(bundle.path, made.path, way);
    assertEquals(bundle.name, "My VM");
    assertEquals(bundle.dataFolder, `${made.path}/Data`);
    const { dev, ino } = await Deno.stat(made.path);
    assertEquals([bundle.device, bundle.inode], [dev, ino!]);
    assertEquals(bundle.writable, true);
  }
});

Deno.test("openBundle says what is wrong with a path that is no bundle", async () => {
  await using made = await temporaryBundle();
  const { root } = made;
  await Deno.mkdir(`${root}/empty.utm`);
  await Deno.writeTextFile(`${root}/vm.utm.zip`, "");
  await Deno.symlink("nowhere", `${root}/broken.utm`);
  const refused: [string, string][] = [
    ["gone.utm", "it does not exist, expected a .utm folder"],
    ["broken.utm", "it does not exist"],
    ["empty.utm", "there is no config.plist in it"],
    ["vm.utm.zip", "it is a file, expected a .utm folder"],
    ["vm.utm.zip/", "expected a .utm folder"],
    ["a\0b", "expected a .utm folder"],
  ];
  for (const [name, message] of refused) {
    await assertRejects(() => openBundle(`${root}/${name}`), BundleError, message);
  }
});

Deno.test("openBundle does not wait for a pipe in place of config.plist", async () => {
  await using made = await temporaryBundle();
  await Deno.remove(`${made.path}/config.plist`);
  await new Deno.Command("mkfifo", { args: [`${made.path}/config.plist`] }).output();
  await assertRejects(() => openBundle(made.path), BundleError, "it is a named pipe");
  await assertRejects(() => openBundle(`${made.path}/config.plist`), BundleError, "a named pipe");
});

Deno.test("openBundle refuses a config.plist of 100 MB before it reads it", async () => {
  await using made = await temporaryBundle();
  await Deno.truncate(`${made.path}/config.plist`, 100_000_000);
  await assertRejects(() => openBundle(made.path), BundleError, "it has 100000000 bytes, expected");
});

Deno.test("resolveFiles gives absolute paths and says how images are stored", async () => {
  await using made = await temporaryBundle();
  const files = await resolveFiles(await openBundle(made.path));
  assertEquals(files.bundle, made.path);
  assertEquals(files.media, [{ path: `${made.path}/Data/disk.img`, format: "raw" }, undefined]);
  assertEquals(files.efiVars, `${made.path}/Data/efi_vars.fd`);
  assertEquals(files.tpmState, `${made.path}/Data/tpmdata`);
  assertEquals([files.efiVarsBytes, files.share], [undefined, undefined]);
  assertEquals([files.outside, files.warnings], [[], []]);
});

Deno.test("resolveFiles puts media into removable drives, and into no others", async () => {
  await using made = await temporaryBundle();
  const bundle = await openBundle(made.path);
  const iso = `${made.root}/x.iso`;
  await Deno.writeTextFile(iso, "");
  const insert = (id: string, path: string) =>
    resolveFiles(bundle, { drives: new Map([[id, path]]) });
  assertEquals((await insert("cd", iso)).media[1], { path: iso, format: "raw" });
  assertEquals((await insert("cd", iso)).outside, []);
  const wrong = await assertRejects(() => insert("dvd", iso), UsageError, "there is no such drive");
  assertEquals(wrong.hint, "Removable drives: cd");
  await assertRejects(() => insert("disk", iso), UsageError, "has its image in the bundle");
  await assertRejects(() => insert("cd", `${iso}.gone`), UsageError, "does not exist");
  await assertRejects(() => insert("cd", made.root), UsageError, "is a folder");
});

Deno.test("resolveFiles refuses a missing image by its key path", async () => {
  await using made = await temporaryBundle({ "Drive[0].ImageName": "gone.qcow2" });
  const bundle = await openBundle(made.path);
  await assertRejects(
    () => resolveFiles(bundle),
    BundleError,
    "Cannot use Drive[0].ImageName: ",
  );
});

Deno.test("resolveFiles refuses one image in two drives unless nothing writes it", async () => {
  const second = { "Drive[1].ImageName": "disk.img", "Drive[1].ImageType": "Disk" };
  await using shared = await temporaryBundle(second);
  const bundle = await openBundle(shared.path);
  await assertRejects(() => resolveFiles(bundle), BundleError, "is that of Drive[0] too");
  assertEquals((await resolveFiles(bundle, { disposable: true })).media.length, 2);
  await using readOnly = await temporaryBundle({
    ...second,
    "Drive[0].ReadOnly": true,
    "Drive[1].ReadOnly": true,
  });
  assertEquals((await resolveFiles(await openBundle(readOnly.path))).media.length, 2);
});

Deno.test("resolveFiles checks that the share is a folder", async () => {
  await using made = await temporaryBundle();
  const bundle = await openBundle(made.path);
  const share = (path: string) => resolveFiles(bundle, { share: { path, readOnly: true } });
  assertEquals((await share(made.root)).share, { path: made.root, readOnly: true });
  await assertRejects(() => share(`${made.root}/gone`), UsageError, "it does not exist");
  await assertRejects(() => share(`${made.path}/config.plist`), UsageError, "it is no folder");
});

Deno.test("resolveFiles lists everything that leads out of the bundle", async () => {
  await using made = await temporaryBundle({ "QEMU.UEFIBoot": true, "QEMU.TPMDevice": true });
  const data = `${made.path}/Data`;
  for (const name of ["disk.img", "efi_vars.fd", "tpmdata"]) {
    await Deno.writeTextFile(`${made.root}/${name}`, "");
    await Deno.remove(`${data}/${name}`).catch(() => {});
    await Deno.symlink(`${made.root}/${name}`, `${data}/${name}`);
  }
  const { outside } = await resolveFiles(await openBundle(made.path));
  assertEquals(outside, [
    { key: "Drive[0].ImageName", path: `${data}/disk.img`, realPath: `${made.root}/disk.img` },
    { key: "QEMU.UEFIBoot", path: `${data}/efi_vars.fd`, realPath: `${made.root}/efi_vars.fd` },
    { key: "QEMU.TPMDevice", path: `${data}/tpmdata`, realPath: `${made.root}/tpmdata` },
  ]);
  await Deno.remove(`${made.root}/tpmdata`);
  const bundle = await openBundle(made.path);
  await assertRejects(
    () => resolveFiles(bundle),
    BundleError,
    "a symbolic link that leads nowhere",
  );
});

Deno.test("resolveFiles sees that the data folder itself is elsewhere", async () => {
  await using made = await temporaryBundle({ "QEMU.UEFIBoot": true });
  await Deno.rename(`${made.path}/Data`, `${made.root}/Elsewhere`);
  await Deno.symlink(`${made.root}/Elsewhere`, `${made.path}/Data`);
  const { outside } = await resolveFiles(await openBundle(made.path));
  assertEquals(outside.map(({ key, realPath }) => [key, realPath]), [
    ["Drive[0].ImageName", `${made.root}/Elsewhere/disk.img`],
    ["QEMU.UEFIBoot", `${made.root}/Elsewhere/efi_vars.fd`],
  ]);
});

Deno.test("resolveFiles warns of a disk whose content belies its suffix", async () => {
  await using made = await temporaryBundle();
  await Deno.writeFile(
    `${made.path}/Data/disk.img`,
    Uint8Array.from([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3]),
  );
  const { media, warnings } = await resolveFiles(await openBundle(made.path));
  assertEquals(media[0]!.format, "raw");
  assertEquals(warnings.map(({ key }) => key), ["Drive[0].ImageName"]);
  assertMatch(
    warnings[0]!.message,
    /^Drive\[0\]\.ImageName is "disk\.img", which looks like qcow2/,
  );
});

Deno.test("ensureEfiVars makes the variables once, whole, and readable", async () => {
  await using made = await temporaryBundle({ "QEMU.UEFIBoot": true });
  const template = `${made.root}/template.fd`;
  await Deno.writeFile(template, new Uint8Array(540672).fill(7));
  const files = await resolveFiles(await openBundle(made.path));
  // Racers see the same file, whoever makes it.
  const racers = await Promise.all(
    Array.from({ length: 8 }, () => ensureEfiVars(files, template)),
  );
  for (const racer of racers) assertEquals(racer.efiVarsBytes, 540672);
  const { mode, ino } = await Deno.stat(files.efiVars);
  assertEquals(mode! & 0o777, 0o644);
  await Deno.writeFile(template, new Uint8Array(4));
  await ensureEfiVars(files, template);
  assertEquals((await Deno.stat(files.efiVars)).ino, ino);
  const names = [...Deno.readDirSync(`${made.path}/Data`)].map(({ name }) => name).sort();
  assertEquals(names, ["disk.img", "efi_vars.fd"]);
});

Deno.test("ensureEfiVars copies what is there for a run that writes nothing", async () => {
  await using made = await temporaryBundle({ "QEMU.UEFIBoot": true });
  const template = `${made.root}/template.fd`;
  await Deno.writeTextFile(template, "empty");
  const bundle = await openBundle(made.path);
  const fresh = await ensureEfiVars(await resolveFiles(bundle), template, { copyTo: made.root });
  assertEquals(fresh.efiVars, `${made.root}/efi_vars.fd`);
  assertEquals(await Deno.readTextFile(fresh.efiVars), "empty");
  await assertRejects(() => Deno.stat(`${made.path}/Data/efi_vars.fd`), Deno.errors.NotFound);
  await Deno.remove(fresh.efiVars);
  await Deno.writeTextFile(`${made.path}/Data/efi_vars.fd`, "boot entries");
  const kept = await ensureEfiVars(await resolveFiles(bundle), template, { copyTo: made.root });
  assertEquals(await Deno.readTextFile(kept.efiVars), "boot entries");
  assertEquals(kept.efiVarsBytes, 12);
});

Deno.test("ensureEfiVars leaves nothing behind where it fails", async () => {
  await using made = await temporaryBundle({ "QEMU.UEFIBoot": true });
  const files = await resolveFiles(await openBundle(made.path));
  await assertRejects(() => ensureEfiVars(files, "/nowhere/vars.fd"), HostError, "Cannot read");
  const template = `${made.root}/template.fd`;
  await Deno.writeTextFile(template, "empty");
  const gone = `${made.root}/gone`;
  await assertRejects(
    () => ensureEfiVars(files, template, { copyTo: gone }),
    HostFailure,
    "Cannot make",
  );
  assertEquals([...Deno.readDirSync(`${made.path}/Data`)].map(({ name }) => name), ["disk.img"]);
});

Deno.test("resolveFiles finds the directory that an old bundle shared, if it is here", async () => {
  await using made = await temporaryBundle();
  const shared = `${made.root}/Shared`;
  await Deno.mkdir(shared);
  const old = new Map<string, PlistValue>([
    ["ConfigurationVersion", 2],
    ["Sharing", new Map<string, PlistValue>([["DirectorySharing", true]])],
  ]);
  await Deno.writeTextFile(`${made.path}/config.plist`, toXmlPlist(old));
  const resolve = async (share?: { path: string; readOnly: boolean }) =>
    await resolveFiles(await openBundle(made.path), share === undefined ? {} : { share });
  assertEquals((await resolve()).share, undefined);
  const view = new Map<string, PlistValue>([["SharedDirectoryPath", shared]]);
  await Deno.writeTextFile(`${made.path}/view.plist`, toXmlPlist(view));
  const found = await resolve();
  assertEquals([found.share, found.isShareOwn], [{ path: shared, readOnly: false }, true]);
  const given = await resolve({ path: made.root, readOnly: true });
  assertEquals([given.share?.path, given.isShareOwn], [made.root, false]);
  await Deno.writeTextFile(`${made.path}/view.plist`, "rubbish");
  assertEquals((await resolve()).share, undefined);
  await Deno.remove(shared);
  await Deno.writeTextFile(`${made.path}/view.plist`, toXmlPlist(view));
  assertEquals((await resolve()).share, undefined);
});
