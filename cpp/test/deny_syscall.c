// Deny: makes one system call answer ENOSYS, as an old kernel or a container's seccomp profile does.
//
//   actor_ipc_deny_syscall NAME PROGRAM ARGUMENTS...     for PROGRAM and all it starts
//
// The same file as a shared object (DENY_ON_LOAD) does it to the thread that loads it, by the NAME in
// ACTOR_IPC_TEST_DENY: for calls without which a program can't even start. Needs no privilege.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

static const struct {
  const char* name;
  unsigned number;
} calls[] = {
    {"memfd_create", SYS_memfd_create},
    {"eventfd2", SYS_eventfd2},
    {"pidfd_open", SYS_pidfd_open},
};

static int deny(const char* name) {
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    if (strcmp(calls[i].name, name) != 0) continue;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
      return 1;
    perror("seccomp");
    return 0;
  }
  fprintf(stderr, "no such system call here: %s\n", name);
  return 0;
}

#ifdef DENY_ON_LOAD
__attribute__((constructor)) static void load(void) {
  const char* name = getenv("ACTOR_IPC_TEST_DENY");
  if (name != NULL && !deny(name)) abort();
}
#else
int main(int count, char** arguments) {
  if (count < 3) {
    fprintf(stderr, "usage: %s NAME PROGRAM ARGUMENTS...\n", arguments[0]);
    return 2;
  }
  if (!deny(arguments[1])) return 1;
  execvp(arguments[2], arguments + 2);
  perror(arguments[2]);
  return 127;
}
#endif
