#include "os/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "doctest/doctest.h"
#include "test/folder.h"

namespace actor_ipc {

namespace {

struct Created {
  Fd file;
  Mapping own;

  explicit Created(Access access, size_t pages = 2) {
    REQUIRE(CreateMemory("test", pages * PageBytes(), access, &file, &own).ok());
  }
};

Fd PlainMemory(unsigned flags, size_t bytes, int seals) {
  Fd file(::memfd_create("test", MFD_CLOEXEC | flags));
  REQUIRE(file.valid());
  REQUIRE(::ftruncate(file.get(), static_cast<off_t>(bytes)) == 0);
  if (seals != 0) REQUIRE(::fcntl(file.get(), F_ADD_SEALS, seals) == 0);
  return file;
}

void CheckRefused(int file, size_t bytes, size_t bytes_max, Code code) {
  Mapping mapping;
  CHECK(MapForReading(file, bytes, bytes_max, &mapping).code() == code);
  CHECK(mapping.base() == nullptr);
}

constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW;

}  // namespace

TEST_SUITE("memory") {
  TEST_CASE("a new file is zero-filled, closes on exec and is for its owner alone") {
    const Created memory(Access::kOwnerOnly);
    for (size_t i = 0; i < memory.own.bytes(); i++) REQUIRE(memory.own.base()[i] == 0);
    CHECK((::fcntl(memory.file.get(), F_GETFD) & FD_CLOEXEC) != 0);
    struct stat facts;
    REQUIRE(::fstat(memory.file.get(), &facts) == 0);
    CHECK((facts.st_mode & 0777) == 0600);
    size_t bytes = 0;
    REQUIRE(MemoryBytes(memory.file.get(), &bytes).ok());
    CHECK(bytes == 2 * PageBytes());
    CHECK(memory.own.writable());
  }

  TEST_CASE("what the owner writes, a reader sees in a mapping that it can't write") {
    const Created memory(Access::kOwnerOnly);
    memory.own.base()[7] = 42;
    Mapping seen;
    REQUIRE(MapForReading(memory.file.get(), memory.own.bytes(), memory.own.bytes(), &seen).ok());
    CHECK(seen.base()[7] == 42);
    CHECK_FALSE(seen.writable());
    memory.own.base()[7] = 43;
    CHECK(seen.base()[7] == 43);
    CHECK(::mprotect(seen.base(), seen.bytes(), PROT_READ | PROT_WRITE) != 0);
  }

  TEST_CASE("a sealed file neither shrinks nor grows") {
    for (const Access access : {Access::kOwnerOnly, Access::kShared}) {
      const Created memory(access);
      CHECK(::ftruncate(memory.file.get(), 0) != 0);
      CHECK(errno == EPERM);
      CHECK(::ftruncate(memory.file.get(), static_cast<off_t>(3 * PageBytes())) != 0);
      CHECK(errno == EPERM);
      CHECK(::fallocate(memory.file.get(), 0, 0, static_cast<off_t>(3 * PageBytes())) != 0);
      CHECK(errno == EPERM);
    }
  }

  TEST_CASE("nobody can add a seal of his own") {
    for (const Access access : {Access::kOwnerOnly, Access::kShared}) {
      const Created memory(access);
      for (const int seal : {F_SEAL_WRITE, F_SEAL_SEAL, 0x0010 /* F_SEAL_FUTURE_WRITE */}) {
        CHECK(::fcntl(memory.file.get(), F_ADD_SEALS, seal) != 0);
        CHECK(errno == EPERM);
      }
    }
  }

  TEST_CASE("an owner-only file refuses a second mapping to write, and write(2)") {
    const Created memory(Access::kOwnerOnly);
    CHECK(::mmap(nullptr, PageBytes(), PROT_READ | PROT_WRITE, MAP_SHARED, memory.file.get(), 0) == MAP_FAILED);
    CHECK(errno == EPERM);
    CHECK(::pwrite(memory.file.get(), "x", 1, 0) < 0);
    CHECK(errno == EPERM);
  }

  TEST_CASE("a shared file can be mapped to write by who holds it") {
    const Created memory(Access::kShared);
    void* base = ::mmap(nullptr, PageBytes(), PROT_READ | PROT_WRITE, MAP_SHARED, memory.file.get(), 0);
    REQUIRE(base != MAP_FAILED);
    const Mapping other(base, PageBytes(), true);
    other.base()[0] = 1;
    CHECK(memory.own.base()[0] == 1);
  }

  TEST_CASE("a size that the system can't give is an error of the system, with the step") {
    Fd file;
    Mapping own;
    const Status status = CreateMemory("test", size_t{1} << 62, Access::kOwnerOnly, &file, &own);
    CHECK(status.code() == Code::kSystem);
    CHECK(status.error() != 0);
    CHECK(status.step()[0] != '\0');
    CHECK_FALSE(file.valid());
    CHECK(own.base() == nullptr);
  }

  TEST_CASE("reading is refused when a change of size is possible") {
    const size_t bytes = PageBytes();
    CheckRefused(PlainMemory(MFD_ALLOW_SEALING, bytes, 0).get(), bytes, bytes, Code::kBadSegment);
    CheckRefused(PlainMemory(MFD_ALLOW_SEALING, bytes, F_SEAL_SHRINK).get(), bytes, bytes, Code::kBadSegment);
    CheckRefused(PlainMemory(MFD_ALLOW_SEALING, bytes, F_SEAL_GROW).get(), bytes, bytes, Code::kBadSegment);
    CheckRefused(PlainMemory(0, bytes, 0).get(), bytes, bytes, Code::kBadSegment);
  }

  TEST_CASE("reading is refused for another size than announced") {
    const Created memory(Access::kOwnerOnly);
    CheckRefused(memory.file.get(), PageBytes(), 1 << 20, Code::kBadSegment);
    CheckRefused(memory.file.get(), 3 * PageBytes(), 1 << 20, Code::kBadSegment);
    CheckRefused(memory.file.get(), 2 * PageBytes() - 1, 1 << 20, Code::kBadSegment);
    CheckRefused(memory.file.get(), 0, 1 << 20, Code::kBadSegment);
    CheckRefused(PlainMemory(MFD_ALLOW_SEALING, 0, kSizeSeals).get(), 0, 1 << 20, Code::kBadSegment);
  }

  TEST_CASE("reading is refused above the limit, before anything is mapped") {
    const Created memory(Access::kOwnerOnly);
    CheckRefused(memory.file.get(), 2 * PageBytes(), 2 * PageBytes() - 1, Code::kTooLarge);
  }

  TEST_CASE("reading is refused for what is no memory file") {
    const Folder folder;
    const Fd ordinary(::open((folder / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(::ftruncate(ordinary.get(), static_cast<off_t>(PageBytes())) == 0);
    CheckRefused(ordinary.get(), PageBytes(), PageBytes(), Code::kBadSegment);
    const Fd device(::open("/dev/zero", O_RDWR | O_CLOEXEC));
    CheckRefused(device.get(), PageBytes(), PageBytes(), Code::kBadSegment);
    const Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    CheckRefused(socket.get(), PageBytes(), PageBytes(), Code::kBadSegment);
    CheckRefused(-1, PageBytes(), PageBytes(), Code::kBadSegment);
  }

  TEST_CASE("reading is refused for huge pages, whose pool may be empty") {
    const Fd file(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB));
    if (!file.valid()) {
      MESSAGE("this kernel has no huge pages");
      return;
    }
    struct stat facts;
    REQUIRE(::fstat(file.get(), &facts) == 0);
    REQUIRE(::ftruncate(file.get(), facts.st_blksize) == 0);
    REQUIRE(::fcntl(file.get(), F_ADD_SEALS, kSizeSeals) == 0);
    const auto bytes = static_cast<size_t>(facts.st_blksize);
    CheckRefused(file.get(), bytes, bytes, Code::kBadSegment);
  }

  TEST_CASE("a mapping outlives its descriptor, and goes where it is moved") {
    Mapping kept;
    {
      Created memory(Access::kOwnerOnly);
      memory.own.base()[0] = 9;
      kept = std::move(memory.own);
      CHECK(memory.own.base() == nullptr);
      CHECK(memory.own.bytes() == 0);
    }
    CHECK(kept.base()[0] == 9);
    CHECK(kept.writable());
    const Mapping last(std::move(kept));
    CHECK(last.base()[0] == 9);
    CHECK(kept.base() == nullptr);
  }
}

}  // namespace actor_ipc
