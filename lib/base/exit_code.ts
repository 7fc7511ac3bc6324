/** The exit codes of the command line. Source: the contract in README.md, "Exit codes". */
export const ExitCode = {
  /** The guest shut down, or all steps passed. */
  ok: 0,
  /** A defect of ours. */
  defect: 1,
  /** A wrong command line. */
  usage: 2,
  /** The bundle is not valid, or of a kind that is not run here. */
  bundle: 3,
  /** Refused: needs a grant. */
  refused: 4,
  /** The host lacks something. */
  host: 5,
  /** QEMU failed to start or died. */
  qemu: 6,
  /** QMP: no greeting within the deadline, or a command failed. */
  qmp: 7,
  /** SPICE: could not attach. */
  spice: 8,
  /** An expectation failed. */
  expectation: 9,
  /** The time budget ran out. */
  timeout: 10,
  /** The guest crashed. */
  guestCrash: 11,
  /** The bundle is already running. */
  alreadyRunning: 12,
  /** No such VM is running. */
  notRunning: 13,
  /** The host failed us: disk full, file not writable, port taken. */
  hostFailure: 14,
  /** Plus the number of the signal that ended us. */
  signalBase: 128,
} as const;
