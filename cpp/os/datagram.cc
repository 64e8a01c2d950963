#include "os/datagram.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>

#include "os/unix_address.h"

namespace actor_ipc {

namespace {

/// A peer that rings without end must not keep us here; what is left makes the bell readable again.
constexpr int kClearMax = 256;

}  // namespace

Status BindBell(const char* path, mode_t mode, Fd* bell) {
  sockaddr_un address;
  Fd folder;
  if (Status status = FillUnixAddress(path, &address, &folder); !status.ok()) return status;
  Fd owned;
  if (Status status = OpenRinger(&owned); !status.ok()) return status;
  if (::unlink(address.sun_path) != 0 && errno != ENOENT) return Status::System(errno, "unlink(bell)");
  if (::bind(owned.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return Status::System(errno, "bind");
  if (::chmod(address.sun_path, mode) != 0) return Status::System(errno, "chmod(bell)");
  *bell = std::move(owned);
  return Status::Ok();
}

Status OpenRinger(Fd* ringer) {
  const int number = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (number < 0) return Status::System(errno, "socket");
  *ringer = Fd(number);
  return Status::Ok();
}

Status RingBell(int own, const char* path, uint8_t why) {
  sockaddr_un address;
  Fd folder;
  if (Status status = FillUnixAddress(path, &address, &folder); !status.ok()) return status;
  ssize_t sent;
  do {
    sent = ::sendto(own, &why, 1, MSG_NOSIGNAL | MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&address), sizeof address);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return Status::Ok();
  // Unread rings enough are there already.
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) return Status::Ok();
  if (errno == ENOENT || errno == ECONNREFUSED) return Status::Of(Code::kGone, "sendto");
  return Status::System(errno, "sendto");
}

Status SendText(const char* path, const char* text) {
  sockaddr_un address;
  Fd folder;
  size_t length = sizeof address;
  if (path[0] == '@') {
    const size_t name = strlen(path);
    if (name > sizeof address.sun_path) return Status::Of(Code::kTooLarge, "name");
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path + 1, path + 1, name - 1);
    length = offsetof(sockaddr_un, sun_path) + name;
  } else if (Status status = FillUnixAddress(path, &address, &folder); !status.ok()) {
    return status;
  }
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return Status::System(errno, "socket");
  ssize_t sent;
  do {
    sent = ::sendto(socket.get(), text, strlen(text), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address),
                    static_cast<socklen_t>(length));
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return Status::Ok();
  if (errno == EAGAIN || errno == EWOULDBLOCK) return Status::Of(Code::kAgain, "sendto");
  if (errno == ENOENT || errno == ECONNREFUSED) return Status::Of(Code::kGone, "sendto");
  return Status::System(errno, "sendto");
}

Rings ClearBell(int bell) {
  Rings rings;
  for (int i = 0; i < kClearMax; i++) {
    uint8_t why = 0;
    const ssize_t received = ::recv(bell, &why, 1, MSG_DONTWAIT);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) break;
    rings.count++;
    rings.why |= why;
  }
  return rings;
}

}  // namespace actor_ipc
