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
#include <time.h>
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
// Nobody is left in the leader's group; its number may be a stranger's by now.
static bool group_gone = false;
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

struct kin {
  pid_t pid;
  pid_t parent;
};

// Fills in what /proc says of a process. A zombie has nothing left to kill; its children are somebody else's.
static bool look_at(pid_t pid, struct kin* kin) {
  char path[64];
  char text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  if (length <= 0) return false;
  text[length] = '\0';
  const char* after_name = strrchr(text, ')');  // The name may hold anything, also ") ".
  char state;
  int parent;
  if (after_name == NULL || sscanf(after_name + 1, " %c %d", &state, &parent) != 2 || state == 'Z') return false;
  *kin = (struct kin){pid, parent};
  return true;
}

// Every process is looked at once. What is known so far stays, if there is no memory for more: the next round sees the rest.
static size_t look_at_all(struct kin** all) {
  size_t count = 0;
  size_t room = 0;
  DIR* folder = opendir("/proc");
  if (folder == NULL) return 0;
  for (const struct dirent* entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
    const pid_t pid = atoi(entry->d_name);
    if (pid <= 1) continue;
    if (count == room) {
      struct kin* more = realloc(*all, (room + 256) * sizeof **all);
      if (more == NULL) break;
      *all = more;
      room += 256;
    }
    if (look_at(pid, *all + count)) count++;
  }
  closedir(folder);
  return count;
}

// A process that forks while we look is met in the next round: its child is ours as soon as it is dead.
static void kill_descendants(void) {
  struct kin* all = NULL;
  const size_t count = look_at_all(&all);
  // Those in front are ours. Each in its turn brings its children there.
  size_t ours = 0;
  pid_t parent = getpid();
  for (size_t turn = 0; turn <= ours; turn++) {
    if (turn > 0) parent = all[turn - 1].pid;
    for (size_t i = ours; i < count; i++) {
      if (all[i].parent != parent) continue;
      const struct kin found = all[i];
      all[i] = all[ours];
      all[ours++] = found;
      kill(found.pid, SIGKILL);
    }
  }
  free(all);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

// Most programs are one group, which costs one call. All of /proc is looked at only for those who have left it: hundreds of
// minders that do so at once, when their supervisor ends, keep the machine busy for longer than anybody may outlive it. So they
// are looked for once the group is empty and somebody is left; sooner or later also if the group cannot die.
static void kill_all(void) {
  static const int stuck_ms = 100;
  static int64_t look_at_ms = -1;
  if (!group_gone) kill(-leader, SIGKILL);
  const int64_t now = now_ms();
  if (look_at_ms < 0) look_at_ms = now + stuck_ms;
  if (!group_gone && now < look_at_ms) return;
  kill_descendants();
  look_at_ms = now + stuck_ms;
}

// Answers false when no child is left.
static bool reap(void) {
  for (;;) {
    int status;
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) {
      if (!leader_running && !group_gone) group_gone = kill(-leader, 0) != 0 && errno == ESRCH;
      return pid == 0;
    }
    if (pid != leader) continue;
    leader_running = false;
    const int32_t value = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    tell(REPORT_EXITED, pid, value, WIFSIGNALED(status) && WCOREDUMP(status));
  }
}

static void signal_group(int number) {
  if (group_gone) return;
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
    const int count = poll(ready, control >= 0 ? 2 : 1, killing ? 20 : -1);
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
