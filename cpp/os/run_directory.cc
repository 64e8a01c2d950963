#include "os/run_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace actor_ipc {

Status EnsureRunDirectory(const char* path, mode_t mode) {
  if (::mkdir(path, mode) != 0 && errno != EEXIST) return Status::System(errno, "mkdir");
  const int number = ::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (number < 0) {
    if (errno == ELOOP || errno == ENOTDIR) return Status::Of(Code::kUnsafeFolder, "a link or a file stands in its place");
    return Status::System(errno, "open(run directory)");
  }
  const Fd folder(number);
  struct stat facts;
  if (::fstat(folder.get(), &facts) != 0) return Status::System(errno, "fstat");
  if (facts.st_uid != ::geteuid()) return Status::Of(Code::kUnsafeFolder, "it belongs to another user");
  if ((facts.st_mode & 0777 & ~mode) != 0) return Status::Of(Code::kUnsafeFolder, "others may enter it");
  return Status::Ok();
}

Status LockFile(const char* path, Fd* lock, pid_t* holder) {
  *holder = 0;
  const int number = ::open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (number < 0)
    return errno == ELOOP ? Status::Of(Code::kUnsafeFolder, "a link stands in the place of the lock")
                          : Status::System(errno, "open(lock)");
  Fd file(number);
  char text[32] = {};
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Status::System(errno, "flock");
    if (::pread(file.get(), text, sizeof text - 1, 0) > 0) *holder = static_cast<pid_t>(strtol(text, nullptr, 10));
    return Status::Of(Code::kBusy, "flock");
  }
  const int length = snprintf(text, sizeof text, "%d\n", ::getpid());
  if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), text, static_cast<size_t>(length), 0) != length)
    return Status::System(errno, "write(lock)");
  *lock = std::move(file);
  return Status::Ok();
}

}  // namespace actor_ipc
