#include "os/datagram.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "doctest/doctest.h"
#include "test/child.h"
#include "test/folder.h"

namespace actor_ipc {

namespace {

bool Readable(int bell) {
  pollfd ready{bell, POLLIN, 0};
  return ::poll(&ready, 1, 0) == 1;
}

struct Bell {
  std::string path;
  Fd fd;
  explicit Bell(std::string at) : path(std::move(at)) { REQUIRE(BindBell(path.c_str(), 0600, &fd).ok()); }
};

}  // namespace

TEST_SUITE("datagram") {
  TEST_CASE("a new bell is silent, does not block, closes on exec and belongs to its owner alone") {
    const Folder folder;
    const Bell bell(folder / "bell");
    CHECK_FALSE(Readable(bell.fd.get()));
    CHECK((::fcntl(bell.fd.get(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(bell.fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
    struct stat facts;
    REQUIRE(::stat(bell.path.c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777) == 0600);
    CHECK(ClearBell(bell.fd.get()).count == 0);
  }

  TEST_CASE("rings come with their reasons together and are taken at once") {
    const Folder folder;
    const Bell bell(folder / "bell");
    const Bell other(folder / "other");
    for (const uint8_t why : {1, 4, 1}) REQUIRE(RingBell(other.fd.get(), bell.path.c_str(), why).ok());
    CHECK(Readable(bell.fd.get()));
    const Rings rings = ClearBell(bell.fd.get());
    CHECK(rings.count == 3);
    CHECK(rings.why == 5);
    CHECK_FALSE(Readable(bell.fd.get()));
  }

  TEST_CASE("a bell that nobody clears never blocks and never fails who rings it") {
    const Folder folder;
    const Bell bell(folder / "bell");
    const Bell other(folder / "other");
    for (int i = 0; i < 5000; i++) REQUIRE(RingBell(other.fd.get(), bell.path.c_str(), 1).ok());
    CHECK(Readable(bell.fd.get()));
    while (ClearBell(bell.fd.get()).count > 0) {
    }
    CHECK_FALSE(Readable(bell.fd.get()));
  }

  TEST_CASE("a bell that was never there, or whose owner is gone, is told from a bell that is there") {
    const Folder folder;
    const Bell own(folder / "own");
    CHECK(RingBell(own.fd.get(), (folder / "none").c_str(), 1).code() == Code::kGone);
    const std::string path = folder / "dead";
    Child owner([&] {
      Fd bell;
      return BindBell(path.c_str(), 0600, &bell).ok() ? 0 : 1;
    });
    REQUIRE(owner.Reap() == 0);
    REQUIRE(std::filesystem::exists(path));
    CHECK(RingBell(own.fd.get(), path.c_str(), 1).code() == Code::kGone);
    const Bell next(path);
    CHECK(RingBell(own.fd.get(), path.c_str(), 1).ok());
    CHECK(Readable(next.fd.get()));
  }

  TEST_CASE("a path that is too long for a socket's address serves as well") {
    const Folder folder;
    const std::string deep = folder / std::string(120, 'd');
    REQUIRE(::mkdir(deep.c_str(), 0700) == 0);
    const int before = OpenDescriptors();
    {
      const Bell bell(deep + "/bell");
      const Bell other(deep + "/other");
      REQUIRE(RingBell(other.fd.get(), bell.path.c_str(), 2).ok());
      CHECK(ClearBell(bell.fd.get()).why == 2);
    }
    CHECK(OpenDescriptors() == before);
  }

  TEST_CASE("what stands in the place of a bell and is none is not rung") {
    const Folder folder;
    const Bell own(folder / "own");
    CHECK(RingBell(own.fd.get(), folder.path().c_str(), 1).code() != Code::kOk);
    Fd bell;
    CHECK(BindBell((folder / "none/bell").c_str(), 0600, &bell).code() == Code::kSystem);
    CHECK_FALSE(bell.valid());
  }
}

}  // namespace actor_ipc
