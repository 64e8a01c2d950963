#include "os/seqpacket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "doctest/doctest.h"
#include "os/memory.h"
#include "test/child.h"
#include "test/folder.h"

namespace actor_ipc {

namespace {

struct Pair {
  Fd one;
  Fd other;
  Pair() { REQUIRE(PairPacket(&one, &other).ok()); }
};

Status Send(const Fd& socket, const std::string& text, const std::vector<int>& fds = {}) {
  return SendPacket(socket.get(), reinterpret_cast<const uint8_t*>(text.data()), text.size(), fds.data(), fds.size());
}

/// One packet; `text` is what came, if anything did.
Status Receive(const Fd& socket, std::string* text, Packet* packet, size_t capacity = kPacketBytesMax) {
  std::vector<uint8_t> buffer(capacity);
  const Status status = ReceivePacket(socket.get(), buffer.data(), buffer.size(), packet);
  text->assign(reinterpret_cast<const char*>(buffer.data()), status.ok() ? packet->bytes : 0);
  return status;
}

/// As a peer that keeps no rules: any number of bytes and of copies of `fd`.
void SendRaw(const Fd& socket, size_t bytes, size_t fd_count, int fd) {
  std::vector<uint8_t> payload(bytes + 1);
  iovec part{payload.data(), bytes};
  std::vector<int> fds(fd_count, fd);
  std::vector<char> control(CMSG_SPACE(sizeof(int) * fd_count));
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd_count > 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
    memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fd_count);
  }
  REQUIRE(::sendmsg(socket.get(), &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes));
}

Fd NullDevice() { return Fd(::open("/dev/null", O_RDWR | O_CLOEXEC)); }

/// A socket on which somebody listens.
struct Listening {
  Folder folder;
  std::string path;
  Fd listener;

  explicit Listening(const std::string& name = "socket", int backlog = 8) : path(folder / name) {
    REQUIRE(ListenPacket(path.c_str(), 0600, backlog, &listener).ok());
  }
};

}  // namespace

TEST_SUITE("seqpacket") {
  TEST_CASE("packets keep their borders and their order") {
    const Pair pair;
    for (const char* text : {"one", "twotwo", "3"}) REQUIRE(Send(pair.one, text).ok());
    for (const char* wanted : {"one", "twotwo", "3"}) {
      std::string text;
      Packet packet;
      REQUIRE(Receive(pair.other, &text, &packet).ok());
      CHECK(text == wanted);
      CHECK(packet.fd_count == 0);
    }
  }

  TEST_CASE("answers kAgain while nothing has come, and while the peer's queue is full") {
    const Pair pair;
    std::string text;
    Packet packet;
    CHECK(Receive(pair.other, &text, &packet).code() == Code::kAgain);
    int sent = 0;
    while (Send(pair.one, std::to_string(sent)).ok()) sent++;
    CHECK(sent > 0);
    CHECK(Send(pair.one, "more").code() == Code::kAgain);
    for (int i = 0; i < sent; i++) {
      REQUIRE(Receive(pair.other, &text, &packet).ok());
      REQUIRE(text == std::to_string(i));
    }
    CHECK(Send(pair.one, "more").ok());
  }

  TEST_CASE("the largest packet arrives whole; a larger one is refused") {
    const Pair pair;
    const std::string largest(kPacketBytesMax, 'x');
    REQUIRE(Send(pair.one, largest).ok());
    std::string text;
    Packet packet;
    REQUIRE(Receive(pair.other, &text, &packet).ok());
    CHECK(text == largest);
    CHECK(Send(pair.one, largest + "x").code() == Code::kTooLarge);
  }

  TEST_CASE("descriptors arrive, close on exec, in the order they were given") {
    const Pair pair;
    const Fd null = NullDevice();
    Fd file;
    Mapping own;
    REQUIRE(CreateMemory("test", PageBytes(), Access::kOwnerOnly, &file, &own).ok());
    REQUIRE(Send(pair.one, "two", {file.get(), null.get()}).ok());
    std::string text;
    Packet packet;
    REQUIRE(Receive(pair.other, &text, &packet).ok());
    REQUIRE(packet.fd_count == 2);
    Mapping seen;
    CHECK(MapForReading(packet.fds[0].get(), PageBytes(), PageBytes(), &seen).ok());
    struct stat facts;
    struct stat wanted;
    REQUIRE(::fstat(packet.fds[1].get(), &facts) == 0);
    REQUIRE(::fstat(null.get(), &wanted) == 0);
    CHECK(facts.st_rdev == wanted.st_rdev);
    for (size_t i = 0; i < packet.fd_count; i++) CHECK((::fcntl(packet.fds[i].get(), F_GETFD) & FD_CLOEXEC) != 0);
  }

  TEST_CASE("as many descriptors as allowed arrive; more are refused before anything is sent") {
    const Pair pair;
    const Fd null = NullDevice();
    REQUIRE(Send(pair.one, "full", std::vector<int>(kPacketFdsMax, null.get())).ok());
    CHECK(Send(pair.one, "over", std::vector<int>(kPacketFdsMax + 1, null.get())).code() == Code::kTooLarge);
    std::string text;
    Packet packet;
    REQUIRE(Receive(pair.other, &text, &packet).ok());
    CHECK(text == "full");
    CHECK(packet.fd_count == kPacketFdsMax);
    CHECK(Receive(pair.other, &text, &packet).code() == Code::kAgain);
  }

  TEST_CASE("descriptors that nobody takes are closed with their packet") {
    const Pair pair;
    const Fd null = NullDevice();
    const int before = OpenDescriptors();
    {
      REQUIRE(Send(pair.one, "x", {null.get(), null.get()}).ok());
      std::string text;
      Packet packet;
      REQUIRE(Receive(pair.other, &text, &packet).ok());
      CHECK(OpenDescriptors() == before + 2);
    }
    CHECK(OpenDescriptors() == before);
  }

  TEST_CASE("a packet with too many descriptors is refused and all of them are closed") {
    const Pair pair;
    const Fd null = NullDevice();
    for (const size_t count : {kPacketFdsMax + 1, size_t{64}, size_t{253}}) {
      const int before = OpenDescriptors();
      SendRaw(pair.one, 5, count, null.get());
      std::string text;
      Packet packet;
      CHECK(Receive(pair.other, &text, &packet).code() == Code::kBadPacket);
      CHECK(packet.fd_count == 0);
      CHECK(OpenDescriptors() == before);
    }
    REQUIRE(Send(pair.one, "next").ok());
    std::string text;
    Packet packet;
    CHECK(Receive(pair.other, &text, &packet).ok());
  }

  TEST_CASE("a truncated packet is refused and its descriptors are closed") {
    const Pair pair;
    const Fd null = NullDevice();
    const int before = OpenDescriptors();
    REQUIRE(Send(pair.one, std::string(11, 'x'), {null.get(), null.get()}).ok());
    std::string text;
    Packet packet;
    CHECK(Receive(pair.other, &text, &packet, 10).code() == Code::kBadPacket);
    CHECK(packet.fd_count == 0);
    CHECK(OpenDescriptors() == before);
  }

  TEST_CASE("an empty packet is never sent, and reads as refused or as the end") {
    const Pair pair;
    const Fd null = NullDevice();
    CHECK(Send(pair.one, "").code() == Code::kBadPacket);
    CHECK(Send(pair.one, "", {null.get()}).code() == Code::kBadPacket);
    const int before = OpenDescriptors();
    std::string text;
    Packet packet;
    CHECK(Receive(pair.other, &text, &packet).code() == Code::kAgain);
    SendRaw(pair.one, 0, 1, null.get());
    CHECK(Receive(pair.other, &text, &packet).code() == Code::kBadPacket);
    CHECK(packet.fd_count == 0);
    CHECK(OpenDescriptors() == before);
    SendRaw(pair.one, 0, 0, -1);
    CHECK(Receive(pair.other, &text, &packet).code() == Code::kClosed);
  }

  TEST_CASE("what was sent before the peer closed is delivered, then the end") {
    Pair pair;
    REQUIRE(Send(pair.one, "last").ok());
    pair.one.Reset();
    std::string text;
    Packet packet;
    REQUIRE(Receive(pair.other, &text, &packet).ok());
    CHECK(text == "last");
    for (int i = 0; i < 2; i++) CHECK(Receive(pair.other, &text, &packet).code() == Code::kClosed);
    CHECK(Send(pair.other, "too late").code() == Code::kClosed);
  }

  TEST_CASE("a peer that closed with unread packets answers kReset once, then its goodbye, then kClosed") {
    Pair pair;
    REQUIRE(Send(pair.other, "never read").ok());
    REQUIRE(Send(pair.one, "goodbye").ok());
    pair.one.Reset();
    std::string text;
    Packet packet;
    CHECK(Receive(pair.other, &text, &packet).code() == Code::kReset);
    REQUIRE(Receive(pair.other, &text, &packet).ok());
    CHECK(text == "goodbye");
    CHECK(Receive(pair.other, &text, &packet).code() == Code::kClosed);
  }

  TEST_CASE("each packet carries the credentials of the process that sent it") {
    const Pair pair;
    REQUIRE(Send(pair.one, "parent").ok());
    Child child([&] { return Send(pair.one, "child").ok() ? 0 : 1; });
    const pid_t pid = child.pid();
    REQUIRE(child.Reap() == 0);
    std::string text;
    Packet packet;
    for (const auto& [wanted, sender] : {std::pair{"parent", ::getpid()}, std::pair{"child", pid}}) {
      REQUIRE(Receive(pair.other, &text, &packet).ok());
      CHECK(text == wanted);
      CHECK(packet.sender.pid == sender);
      CHECK(packet.sender.uid == ::geteuid());
      CHECK(packet.sender.gid == ::getegid());
    }
  }

  TEST_CASE("a packet that was sent before it was accepted carries its sender's credentials") {
    const Listening listening;
    Child child([&] {
      Fd socket;
      return ConnectPacket(listening.path.c_str(), &socket).ok() && Send(socket, "early").ok() ? 0 : 1;
    });
    const pid_t pid = child.pid();
    REQUIRE(child.Reap() == 0);
    Fd accepted;
    REQUIRE(AcceptPacket(listening.listener.get(), &accepted).ok());
    Credentials peer;
    REQUIRE(PeerCredentials(accepted.get(), &peer).ok());
    CHECK(peer.pid == pid);
    std::string text;
    Packet packet;
    REQUIRE(Receive(accepted, &text, &packet).ok());
    CHECK(packet.sender.pid == pid);
  }

  TEST_CASE("the connecting end is told who called listen, and each packet who answered") {
    Listening listening;
    Fd client;
    REQUIRE(ConnectPacket(listening.path.c_str(), &client).ok());
    Child child([&] {
      Fd accepted;
      return AcceptPacket(listening.listener.get(), &accepted).ok() && Send(accepted, "hello").ok() ? 0 : 1;
    });
    const pid_t pid = child.pid();
    REQUIRE(child.Reap() == 0);
    Credentials peer;
    REQUIRE(PeerCredentials(client.get(), &peer).ok());
    CHECK(peer.pid == ::getpid());
    std::string text;
    Packet packet;
    REQUIRE(Receive(client, &text, &packet).ok());
    CHECK(packet.sender.pid == pid);
  }

  TEST_CASE("accepting answers kAgain while nobody waits") {
    const Listening listening;
    Fd socket;
    CHECK(AcceptPacket(listening.listener.get(), &socket).code() == Code::kAgain);
    CHECK_FALSE(socket.valid());
  }

  TEST_CASE("both ends of a connection neither block nor survive an exec") {
    const Listening listening;
    Fd client;
    Fd accepted;
    REQUIRE(ConnectPacket(listening.path.c_str(), &client).ok());
    REQUIRE(AcceptPacket(listening.listener.get(), &accepted).ok());
    for (const int fd : {client.get(), accepted.get(), listening.listener.get()}) {
      CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
      CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    }
  }

  TEST_CASE("connecting answers kAgain while the backlog is full, and succeeds after an accept") {
    const Listening listening("socket", 1);
    std::vector<Fd> clients;
    for (;;) {
      Fd client;
      const Status status = ConnectPacket(listening.path.c_str(), &client);
      if (!status.ok()) {
        CHECK(status.code() == Code::kAgain);
        CHECK_FALSE(client.valid());
        break;
      }
      clients.push_back(std::move(client));
      REQUIRE(clients.size() < 10);
    }
    Fd accepted;
    REQUIRE(AcceptPacket(listening.listener.get(), &accepted).ok());
    Fd client;
    CHECK(ConnectPacket(listening.path.c_str(), &client).ok());
  }

  TEST_CASE("paths longer than an address has room for work") {
    Folder folder;
    std::string deep = folder.path();
    while (deep.size() < 150) {
      deep += "/a-folder-with-a-long-name";
      REQUIRE(::mkdir(deep.c_str(), 0700) == 0);
    }
    const std::string path = deep + "/socket";
    Fd listener;
    REQUIRE(ListenPacket(path.c_str(), 0600, 1, &listener).ok());
    Fd client;
    Fd accepted;
    REQUIRE(ConnectPacket(path.c_str(), &client).ok());
    REQUIRE(AcceptPacket(listener.get(), &accepted).ok());
    REQUIRE(Send(client, "far").ok());
    std::string text;
    Packet packet;
    REQUIRE(Receive(accepted, &text, &packet).ok());
    CHECK(text == "far");
  }

  TEST_CASE("both sides of the border of an address work: 107 bytes and 108") {
    const Folder folder;
    for (const size_t length : {size_t{107}, size_t{108}}) {
      const std::string path = folder / std::string(length - folder.path().size() - 1, 's');
      REQUIRE(path.size() == length);
      Fd listener;
      Fd client;
      REQUIRE(ListenPacket(path.c_str(), 0600, 1, &listener).ok());
      CHECK(ConnectPacket(path.c_str(), &client).ok());
      CHECK(::access(path.c_str(), F_OK) == 0);
    }
  }

  TEST_CASE("a path that fits no address is refused") {
    Fd listener;
    CHECK(ListenPacket(std::string(200, 's').c_str(), 0600, 1, &listener).code() == Code::kTooLarge);
    CHECK(ListenPacket(("/tmp/" + std::string(200, 's')).c_str(), 0600, 1, &listener).code() == Code::kTooLarge);
    CHECK(ListenPacket((std::string(5000, '/') + "s").c_str(), 0600, 1, &listener).code() == Code::kTooLarge);
  }

  TEST_CASE("listening replaces a socket file that nobody serves") {
    Listening listening;
    listening.listener.Reset();
    Fd client;
    const Status refused = ConnectPacket(listening.path.c_str(), &client);
    CHECK(refused.code() == Code::kSystem);
    CHECK(refused.error() == ECONNREFUSED);
    Fd again;
    REQUIRE(ListenPacket(listening.path.c_str(), 0640, 1, &again).ok());
    CHECK(ConnectPacket(listening.path.c_str(), &client).ok());
    struct stat facts;
    REQUIRE(::stat(listening.path.c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777) == 0640);
  }

  TEST_CASE("connecting names what the kernel refused") {
    const Folder folder;
    Fd client;
    const Status missing = ConnectPacket((folder / "none").c_str(), &client);
    CHECK(missing.code() == Code::kSystem);
    CHECK(missing.error() == ENOENT);
    CHECK(std::string(missing.step()) == "connect");
    Fd listener;
    const Status nowhere = ListenPacket((folder / "none/socket").c_str(), 0600, 1, &listener);
    CHECK(nowhere.code() == Code::kSystem);
    CHECK(nowhere.error() == ENOENT);
  }

  TEST_CASE("adopting makes an inherited packet socket ours") {
    int numbers[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, numbers) == 0);
    const Fd one(numbers[0]);
    const Fd other(numbers[1]);
    REQUIRE(AdoptPacket(one.get()).ok());
    CHECK((::fcntl(one.get(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(one.get(), F_GETFD) & FD_CLOEXEC) != 0);
    REQUIRE(Send(other, "x").ok());
    std::string text;
    Packet packet;
    REQUIRE(Receive(one, &text, &packet).ok());
    CHECK(packet.sender.pid == ::getpid());
  }

  TEST_CASE("adopting refuses other descriptors") {
    int numbers[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, numbers) == 0);
    const Fd one(numbers[0]);
    const Fd other(numbers[1]);
    CHECK(AdoptPacket(one.get()).code() == Code::kBadPacket);
    CHECK(AdoptPacket(NullDevice().get()).code() == Code::kBadPacket);
    CHECK(AdoptPacket(-1).code() == Code::kBadPacket);
  }
}

}  // namespace actor_ipc
