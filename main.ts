/** argv in, exit code out; nothing else. */
if (import.meta.main) {
  console.error("utmost: not wired up yet");
  Deno.exit(1);
}
