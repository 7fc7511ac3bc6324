/** The part of `@std/assert` in use; `deno-std` on npm ships without types. */

/** The error that every assertion throws. */
export class AssertionError extends Error {}
/** Asserts that a value is truthy. */
export function assert(value: unknown, message?: string): asserts value;
/** Asserts that two values are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void;
/** Asserts that two values are not deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, message?: string): void;
/** Asserts that two values are the same. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  message?: string,
): asserts actual is T;
/** Asserts that a value is neither null nor undefined. */
export function assertExists<T>(actual: T, message?: string): asserts actual is NonNullable<T>;
/** Asserts that a text holds another. */
export function assertStringIncludes(actual: string, expected: string, message?: string): void;
/** Asserts that a text matches a regular expression. */
export function assertMatch(actual: string, expected: RegExp, message?: string): void;
/** Asserts that a text does not match a regular expression. */
export function assertNotMatch(actual: string, expected: RegExp, message?: string): void;
/** Asserts that a list holds every expected item. */
export function assertArrayIncludes<T>(
  actual: ArrayLike<T>,
  expected: ArrayLike<T>,
  message?: string,
): void;
/** Asserts that an object holds the expected properties. */
export function assertObjectMatch(actual: object, expected: object, message?: string): void;
/** Asserts that a value is an instance of a class. */
export function assertInstanceOf<T>(
  actual: unknown,
  // deno-lint-ignore no-explicit-any
  type: abstract new (...args: any[]) => T,
  message?: string,
): asserts actual is T;
/** Asserts that one number is greater than another. */
export function assertGreater<T>(actual: T, expected: T, message?: string): void;
/** Asserts that one number is at least another. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, message?: string): void;
/** Asserts that one number is less than another. */
export function assertLess<T>(actual: T, expected: T, message?: string): void;
/** Asserts that one number is at most another. */
export function assertLessOrEqual<T>(actual: T, expected: T, message?: string): void;
/** Asserts that a function throws, and returns what it threw. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  // deno-lint-ignore no-explicit-any
  type?: abstract new (...args: any[]) => E,
  includes?: string,
  message?: string,
): E;
/** Asserts that a function rejects, and returns what it rejected with. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  // deno-lint-ignore no-explicit-any
  type?: abstract new (...args: any[]) => E,
  includes?: string,
  message?: string,
): Promise<E>;
/** Fails a test. */
export function fail(message?: string): never;
