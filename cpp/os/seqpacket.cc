#include "os/seqpacket.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <utility>

#include "os/unix_address.h"

namespace actor_ipc {

namespace {

Status NewSocket(Fd* socket) {
  const int number = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (number < 0) return Status::System(errno, "socket");
  Fd owned(number);
  const int on = 1;
  // Before connect or accept, so that no packet arrives without its sender's credentials.
  if (::setsockopt(owned.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
    return Status::System(errno, "setsockopt(SO_PASSCRED)");
  *socket = std::move(owned);
  return Status::Ok();
}

Status FromErrno(int error, const char* step) {
  if (error == EAGAIN || error == EWOULDBLOCK) return Status::Of(Code::kAgain, step);
  if (error == ECONNRESET) return Status::Of(Code::kReset, step);
  if (error == EPIPE || error == ENOTCONN) return Status::Of(Code::kClosed, step);
  return Status::System(error, step);
}

}  // namespace

Status ListenPacket(const char* path, mode_t mode, int backlog, Fd* listener) {
  sockaddr_un address;
  Fd folder;
  if (Status status = FillUnixAddress(path, &address, &folder); !status.ok()) return status;
  Fd socket;
  if (Status status = NewSocket(&socket); !status.ok()) return status;
  if (::unlink(address.sun_path) != 0 && errno != ENOENT) return Status::System(errno, "unlink(socket)");
  // The mode of the file is what bind leaves after the umask; set it before listen lets anyone in.
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return Status::System(errno, "bind");
  if (::chmod(address.sun_path, mode) != 0) return Status::System(errno, "chmod(socket)");
  if (::listen(socket.get(), backlog) != 0) return Status::System(errno, "listen");
  *listener = std::move(socket);
  return Status::Ok();
}

Status AcceptPacket(int listener, Fd* socket) {
  const int number = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (number < 0) {
    // A client that gave up while it waited is no fault of the listener.
    if (errno == ECONNABORTED || errno == EINTR) return Status::Of(Code::kAgain, "accept");
    return FromErrno(errno, "accept");
  }
  *socket = Fd(number);
  return AdoptPacket(number);
}

Status ConnectPacket(const char* path, Fd* socket) {
  sockaddr_un address;
  Fd folder;
  if (Status status = FillUnixAddress(path, &address, &folder); !status.ok()) return status;
  Fd owned;
  if (Status status = NewSocket(&owned); !status.ok()) return status;
  if (::connect(owned.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return FromErrno(errno, "connect");
  *socket = std::move(owned);
  return Status::Ok();
}

Status PairPacket(Fd* one, Fd* other) {
  int numbers[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, numbers) != 0)
    return Status::System(errno, "socketpair");
  *one = Fd(numbers[0]);
  *other = Fd(numbers[1]);
  if (Status status = AdoptPacket(numbers[0]); !status.ok()) return status;
  return AdoptPacket(numbers[1]);
}

Status AdoptPacket(int socket) {
  int type = 0;
  socklen_t length = sizeof type;
  if (::getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_SEQPACKET)
    return Status::Of(Code::kBadPacket, "not a packet socket");
  const int on = 1;
  if (::setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
    return Status::System(errno, "setsockopt(SO_PASSCRED)");
  const int flags = ::fcntl(socket, F_GETFL);
  if (flags < 0 || ::fcntl(socket, F_SETFL, flags | O_NONBLOCK) != 0) return Status::System(errno, "fcntl(F_SETFL)");
  if (::fcntl(socket, F_SETFD, FD_CLOEXEC) != 0) return Status::System(errno, "fcntl(F_SETFD)");
  return Status::Ok();
}

Status SendPacket(int socket, const uint8_t* bytes, size_t count, const int* fds, size_t fd_count) {
  if (count == 0) return Status::Of(Code::kBadPacket, "an empty packet");
  if (count > kPacketBytesMax || fd_count > kPacketFdsMax) return Status::Of(Code::kTooLarge, "packet");
  iovec part{const_cast<uint8_t*>(bytes), count};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kPacketFdsMax)];
  if (fd_count > 0) {
    memset(control, 0, sizeof control);
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
  }
  ssize_t sent;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return FromErrno(errno, "sendmsg");
  return Status::Ok();
}

Status ReceivePacket(int socket, uint8_t* buffer, size_t capacity, Packet* packet) {
  iovec part{buffer, capacity};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kPacketFdsMax) + CMSG_SPACE(sizeof(ucred))];
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t received;
  do {
    received = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return FromErrno(errno, "recvmsg");

  packet->bytes = static_cast<size_t>(received);
  packet->fd_count = 0;
  packet->sender = Credentials{};
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET) continue;
    if (header->cmsg_type == SCM_CREDENTIALS) {
      ucred sender;
      memcpy(&sender, CMSG_DATA(header), sizeof sender);
      packet->sender = Credentials{sender.pid, sender.uid, sender.gid};
    } else if (header->cmsg_type == SCM_RIGHTS) {
      const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; i++) {
        int number;
        memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof number);
        Fd owned(number);
        if (packet->fd_count < kPacketFdsMax) packet->fds[packet->fd_count++] = std::move(owned);
      }
    }
  }
  if (received == 0 && packet->fd_count == 0) return Status::Of(Code::kClosed, "recvmsg");
  if (received == 0 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    for (Fd& fd : packet->fds) fd.Reset();
    packet->fd_count = 0;
    return Status::Of(Code::kBadPacket, received == 0 ? "an empty packet" : "a truncated packet");
  }
  return Status::Ok();
}

Status PeerCredentials(int socket, Credentials* peer) {
  ucred facts;
  socklen_t length = sizeof facts;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &facts, &length) != 0)
    return Status::System(errno, "getsockopt(SO_PEERCRED)");
  *peer = Credentials{facts.pid, facts.uid, facts.gid};
  return Status::Ok();
}

}  // namespace actor_ipc
