#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

namespace actor_ipc {

namespace {

Status ReadSmallFile(const char* path, char* text, size_t capacity) {
  const int number = ::open(path, O_RDONLY | O_CLOEXEC);
  if (number < 0) return Status::System(errno, "open");
  const Fd file(number);
  const ssize_t length = ::read(file.get(), text, capacity - 1);
  if (length < 0) return Status::System(errno, "read");
  text[length] = '\0';
  return Status::Ok();
}

}  // namespace

Status StartTicks(pid_t pid, uint64_t* ticks) {
  char path[64];
  char text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const Status status = ReadSmallFile(path, text, sizeof text);
  if (!status.ok()) return status.error() == ENOENT || status.error() == ESRCH ? Status::Of(Code::kGone, "stat") : status;
  // The name may hold spaces and parentheses, so the fields are counted from its last closing one.
  const char* field = strrchr(text, ')');
  for (int i = 0; field != nullptr && i < 20; i++) field = strchr(field + 1, ' ');
  if (field == nullptr) return Status::Of(Code::kGone, "stat");
  *ticks = strtoull(field, nullptr, 10);
  return Status::Ok();
}

Status BootId(char* id, size_t capacity) {
  if (Status status = ReadSmallFile("/proc/sys/kernel/random/boot_id", id, capacity); !status.ok()) return status;
  id[strcspn(id, "\n")] = '\0';
  return Status::Ok();
}

Status OpenProcess(pid_t pid, uint64_t ticks, Fd* process) {
  const int number = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (number < 0) return errno == ESRCH ? Status::Of(Code::kGone, "pidfd_open") : Status::System(errno, "pidfd_open");
  Fd owned(number);
  // pidfd_open marks the descriptor close-on-exec by itself. The ticks are read after it: if they match now, the
  // descriptor is of that very process.
  if (ticks != 0) {
    uint64_t actual = 0;
    if (Status status = StartTicks(pid, &actual); !status.ok()) return status;
    if (actual != ticks) return Status::Of(Code::kGone, "start ticks");
  }
  *process = std::move(owned);
  return Status::Ok();
}

Status SignalProcess(int process, int signal) {
  if (::syscall(SYS_pidfd_send_signal, process, signal, nullptr, 0) == 0) return Status::Ok();
  return errno == ESRCH ? Status::Of(Code::kGone, "pidfd_send_signal") : Status::System(errno, "pidfd_send_signal");
}

bool ReapChild(pid_t pid) { return pid > 0 && ::waitpid(pid, nullptr, WNOHANG) == pid; }

bool ProcessEnded(int process) {
  pollfd ready{process, POLLIN, 0};
  return ::poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN) != 0;
}

bool ProvenDead(pid_t pid, uint64_t ticks) {
  Fd process;
  if (Status status = OpenProcess(pid, ticks, &process); !status.ok()) return status.code() == Code::kGone;
  return ProcessEnded(process.get());
}

}  // namespace actor_ipc
