// Minder: stays beside one supervised program and answers for all that descends from it.
//
//   actor-ipc-minder CONTROL_FD UNIT [--survive] -- PROGRAM ARGUMENTS...
//
// It starts PROGRAM as the leader of a process group of its own, reports over CONTROL_FD (a packet socket to the
// supervisor) what becomes of it, and carries out signals. It is the subreaper of everything below it, so a descendant
// that called setsid or forked twice is still its child in the end; "nothing left" is the kernel's answer ECHILD and not
// a guess. When the other end of CONTROL_FD closes, because the supervisor ended in whatever way, the minder kills its
// descendants until none is left, and ends. With --survive nobody is killed then: the program goes on, the minder reaps
// for it, and another supervisor may adopt the program.
//
// Plain C and no shared state: it must work when everything else does not, and costs one small process per unit.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// The two packets of the control socket, in native byte order; src/actors/minder.ts is the other end.
struct report {
  uint32_t what;
  int32_t pid;
  int32_t value;
  uint32_t core;
};
enum {
  REPORT_SPAWNED = 1,  // pid: the program
  REPORT_FAILED = 2,   // value: errno of exec
  REPORT_EXITED = 3,   // pid: the program; value: exit code, or -signal
  REPORT_EMPTIED = 4,  // no descendant is left; the minder ends
};

struct order {
  uint32_t what;
  int32_t value;
};
enum {
  ORDER_SIGNAL_GROUP = 1,  // value: signal to the program's group
  ORDER_KILL_ALL = 2,      // SIGKILL to every descendant, also those that left the group
};

static int control = -1;
static pid_t leader = -1;
static bool leader_running = false;
static bool killing = false;
static bool survives = false;

static void tell(uint32_t what, int32_t pid, int32_t value, uint32_t core) {
  const struct report report = {what, pid, value, core};
  // The queue holds hundreds of packets and we send four; a failure means that the supervisor is gone.
  while (control >= 0 && send(control, &report, sizeof report, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

static void start(char** program) {
  int failure[2];
  if (pipe2(failure, O_CLOEXEC) != 0) {
    tell(REPORT_FAILED, 0, errno, 0);
    exit(1);
  }
  const pid_t minder = getpid();
  leader = fork();
  if (leader == 0) {
    // In the new process: a group of its own, and death with us, even if we died before this line.
    setpgid(0, 0);
    if (!survives) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != minder) _exit(127);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    close(control);
    execvp(program[0], program);
    const int error = errno;
    if (write(failure[1], &error, sizeof error) < 0) _exit(126);
    _exit(127);
  }
  const int fork_error = errno;
  close(failure[1]);
  if (leader < 0) {
    tell(REPORT_FAILED, 0, fork_error, 0);
    exit(1);
  }
  // Also from here, so that the group exists before the first order can name it.
  setpgid(leader, leader);
  int error = 0;
  ssize_t got;
  do {
    got = read(failure[0], &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  close(failure[0]);
  if (got == sizeof error) {
    waitpid(leader, NULL, 0);
    tell(REPORT_FAILED, 0, error, 0);
    exit(1);
  }
  leader_running = true;
  tell(REPORT_SPAWNED, leader, 0, 0);
}

// The program's pipes and files must not stay open because of us: their end says that nobody writes any more.
static void let_go_of_files(void) {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; null >= 0 && fd <= 2; fd++) dup2(null, fd);
  DIR* folder = opendir("/proc/self/fd");
  if (folder == NULL) return;
  for (const struct dirent* entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
    const int fd = atoi(entry->d_name);
    if (fd > 2 && fd != control && fd != dirfd(folder) && fd != null) close(fd);
  }
  closedir(folder);
  if (null > 2) close(null);
}

static pid_t parent_of(pid_t pid) {
  char path[64];
  char text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  const ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  if (length <= 0) return -1;
  text[length] = '\0';
  const char* after_name = strrchr(text, ')');  // The name may hold anything, also ") ".
  char state;
  int parent;
  return after_name != NULL && sscanf(after_name + 1, " %c %d", &state, &parent) == 2 ? parent : -1;
}

static bool descends_from_us(pid_t pid) {
  const pid_t self = getpid();
  for (int depth = 0; depth < 64 && pid > 1; depth++) {
    pid = parent_of(pid);
    if (pid == self) return true;
  }
  return false;
}

// A process that forks while we look is met in the next round: its child is ours as soon as it is dead.
static void kill_all(void) {
  if (leader_running) kill(-leader, SIGKILL);
  DIR* folder = opendir("/proc");
  if (folder == NULL) return;
  for (const struct dirent* entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
    const pid_t pid = atoi(entry->d_name);
    if (pid > 1 && pid != getpid() && descends_from_us(pid)) kill(pid, SIGKILL);
  }
  closedir(folder);
}

// Answers false when no child is left.
static bool reap(void) {
  for (;;) {
    int status;
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid == 0) return true;
    if (pid < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    if (pid != leader) continue;
    leader_running = false;
    const int32_t value = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    tell(REPORT_EXITED, pid, value, WIFSIGNALED(status) && WCOREDUMP(status));
  }
}

static void signal_group(int number) {
  if (!leader_running) {
    // The leader is gone but not its group; the group's number stays reserved while anyone is in it.
    if (kill(-leader, 0) == 0) kill(-leader, number);
    return;
  }
  kill(-leader, number);
  // A stopped process would not notice.
  if (number == SIGTERM || number == SIGHUP || number == SIGINT) kill(-leader, SIGCONT);
}

static void obey(void) {
  struct order order;
  const ssize_t got = recv(control, &order, sizeof order, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got == (ssize_t)sizeof order) {
    if (order.what == ORDER_SIGNAL_GROUP && order.value > 0 && order.value < NSIG) signal_group(order.value);
    if (order.what == ORDER_KILL_ALL) killing = true;
    return;
  }
  // The supervisor is gone, or sent what no supervisor of ours sends.
  close(control);
  control = -1;
  if (!survives) killing = true;
}

int main(int argc, char** argv) {
  survives = argc > 3 && strcmp(argv[3], "--survive") == 0;
  const int separator = survives ? 4 : 3;
  if (argc < separator + 2 || strcmp(argv[separator], "--") != 0) {
    fprintf(stderr, "usage: actor-ipc-minder CONTROL_FD UNIT [--survive] -- PROGRAM ARGUMENTS...\n");
    return 2;
  }
  control = atoi(argv[1]);
  if (fcntl(control, F_SETFD, FD_CLOEXEC) != 0) {
    fprintf(stderr, "actor-ipc-minder: %s is not an open descriptor\n", argv[1]);
    return 2;
  }
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_NAME, "actor-minder");

  sigset_t mask;
  sigemptyset(&mask);
  const int taken[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT};
  for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) sigaddset(&mask, taken[i]);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  const int signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) {
    tell(REPORT_FAILED, 0, errno, 0);
    return 1;
  }
  start(argv + separator + 1);
  // The signal descriptor is opened again afterwards, so that the sweep need not know it.
  close(signals);
  let_go_of_files();
  const int watched = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);

  for (;;) {
    if (!reap()) {
      tell(REPORT_EMPTIED, leader, 0, 0);
      return 0;
    }
    if (killing) kill_all();
    struct pollfd ready[2] = {{watched, POLLIN, 0}, {control, POLLIN, 0}};
    // While killing, look again soon: a fork may have slipped through between two rounds.
    const int count = poll(ready, control >= 0 ? 2 : 1, killing ? 10 : -1);
    if (count <= 0) continue;
    if ((ready[0].revents & POLLIN) != 0) {
      struct signalfd_siginfo info;
      while (read(watched, &info, sizeof info) == (ssize_t)sizeof info) {
        // Whoever politely ends the minder means the program.
        if (info.ssi_signo != SIGCHLD) signal_group((int)info.ssi_signo);
      }
    }
    if (control >= 0 && ready[1].revents != 0) obey();
  }
}
