// Child: a forked process that a test starts, waits for and never leaves behind.
#pragma once

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "os/fd.h"

namespace actor_ipc {

/// A pipe on which one process tells another that it has come to a point.
struct Cue {
  Fd reader;
  Fd writer;

  Cue() {
    int numbers[2];
    if (::pipe(numbers) == 0) {
      reader = Fd(numbers[0]);
      writer = Fd(numbers[1]);
    }
  }
  void Give() {
    [[maybe_unused]] const ssize_t written = ::write(writer.get(), "x", 1);
  }
  /// False if all writers are gone.
  bool Await() {
    char byte;
    return ::read(reader.get(), &byte, 1) == 1;
  }
};

class Child {
 public:
  /// Forks; the child runs `body` and ends with what it answers. It dies with its parent.
  template <typename Body>
  explicit Child(Body body) : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::_exit(body());
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    Reap();
  }

  pid_t pid() const { return pid_; }

  /// Waits for the end. Answers the exit code, or -signal.
  int Reap() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t pid_;
};

/// For the body of a child that only waits to be killed.
inline int WaitForever() {
  for (;;) ::pause();
}

}  // namespace actor_ipc
