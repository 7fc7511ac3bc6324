/* What the stand-ins for UTM's libraries do in place of running a guest: as
 * their first argument says. */
#ifndef UTMOST_STANDIN_BEHAVE_H
#define UTMOST_STANDIN_BEHAVE_H

/* `exit N` returns N; `leave N` calls exit(N); `abort` aborts; `args` prints all
 * words, each in < >; `wait` prints "ready" and ends with 42 at SIGTERM, and
 * never without; `exec PROGRAM ARG...` becomes another program. argv[0] is the
 * word before these. */
int behave(int argc, char **argv);

#endif
