#include "os/event.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

namespace actor_ipc {

Status CreateEvent(Fd* event) {
  const int number = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (number < 0) return Status::System(errno, "eventfd");
  *event = Fd(number);
  return Status::Ok();
}

Status RingEvent(int event) {
  const uint64_t one = 1;
  while (::write(event, &one, sizeof one) < 0) {
    if (errno == EAGAIN) return Status::Ok();
    if (errno != EINTR) return Status::System(errno, "write(eventfd)");
  }
  return Status::Ok();
}

void ClearEvent(int event) {
  uint64_t count;
  iovec target{&count, sizeof count};
  // RWF_NOWAIT, because O_NONBLOCK belongs to the description that the peer holds too.
  if (::preadv2(event, &target, 1, -1, RWF_NOWAIT) < 0 && errno == EOPNOTSUPP) {
    pollfd ready{event, POLLIN, 0};
    if (::poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN) != 0) {
      [[maybe_unused]] const ssize_t taken = ::read(event, &count, sizeof count);
    }
  }
}

Status CheckEvent(int event) {
  char link[32];
  char target[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", event);
  const ssize_t length = ::readlink(link, target, sizeof target - 1);
  if (length < 0) return Status::System(errno, "readlink");
  target[length] = '\0';
  return strcmp(target, "anon_inode:[eventfd]") == 0 ? Status::Ok() : Status::Of(Code::kBadPacket, "not an eventfd");
}

}  // namespace actor_ipc
