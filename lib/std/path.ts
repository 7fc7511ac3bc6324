// Linux and macOS only: the module for all systems takes 13 ms to import, this one 2.
// @ts-types="./path.d.ts"
export * from "deno-std/path/posix/mod.js";
