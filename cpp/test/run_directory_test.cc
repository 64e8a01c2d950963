#include "os/run_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "doctest/doctest.h"
#include "test/child.h"
#include "test/folder.h"

namespace actor_ipc {

namespace {

mode_t ModeOf(const std::string& path) {
  struct stat facts;
  REQUIRE(::stat(path.c_str(), &facts) == 0);
  return facts.st_mode & 07777;
}

}  // namespace

TEST_SUITE("run_directory") {
  TEST_CASE("a missing folder is created with the mode, and an existing one is taken as it is") {
    const Folder folder;
    const std::string path = folder / "run";
    REQUIRE(EnsureRunDirectory(path.c_str(), 0700).ok());
    CHECK(ModeOf(path) == 0700);
    CHECK(EnsureRunDirectory(path.c_str(), 0700).ok());
    REQUIRE(::chmod(path.c_str(), 0500) == 0);
    CHECK(EnsureRunDirectory(path.c_str(), 0700).ok());
    CHECK(ModeOf(path) == 0500);
  }

  TEST_CASE("a folder that is open wider is refused, and left as it is") {
    const Folder folder;
    const std::string path = folder / "run";
    REQUIRE(::mkdir(path.c_str(), 0700) == 0);
    for (const mode_t mode : {0710, 0701, 0770, 0755, 0777, 01777}) {
      REQUIRE(::chmod(path.c_str(), mode) == 0);
      CHECK(EnsureRunDirectory(path.c_str(), 0700).code() == Code::kUnsafeFolder);
      CHECK(ModeOf(path) == mode);
    }
    CHECK(EnsureRunDirectory(path.c_str(), 0777).ok());
  }

  TEST_CASE("a link in its place is refused, wherever it leads") {
    const Folder folder;
    const std::string real = folder / "real";
    REQUIRE(::mkdir(real.c_str(), 0700) == 0);
    const std::string to_folder = folder / "to-folder";
    const std::string dangling = folder / "dangling";
    REQUIRE(::symlink(real.c_str(), to_folder.c_str()) == 0);
    REQUIRE(::symlink((folder / "nothing").c_str(), dangling.c_str()) == 0);
    CHECK(EnsureRunDirectory(to_folder.c_str(), 0700).code() == Code::kUnsafeFolder);
    CHECK(EnsureRunDirectory(dangling.c_str(), 0700).code() == Code::kUnsafeFolder);
    CHECK(::access((folder / "nothing").c_str(), F_OK) != 0);
  }

  TEST_CASE("a file in its place is refused") {
    const Folder folder;
    const std::string path = folder / "file";
    REQUIRE(Fd(::open(path.c_str(), O_CREAT | O_CLOEXEC, 0600)).valid());
    CHECK(EnsureRunDirectory(path.c_str(), 0700).code() == Code::kUnsafeFolder);
  }

  TEST_CASE("another user's folder is refused") {
    const Folder folder;
    const std::string path = folder / "run";
    REQUIRE(::mkdir(path.c_str(), 0700) == 0);
    if (::chown(path.c_str(), 12345, 12345) != 0) {
      // Whoever may not give a folder away looks at one that is root's: the file system's own.
      CHECK(EnsureRunDirectory("/", 0777).code() == Code::kUnsafeFolder);
      return;
    }
    CHECK(EnsureRunDirectory(path.c_str(), 0700).code() == Code::kUnsafeFolder);
  }

  TEST_CASE("a missing parent is an error of the system") {
    const Folder folder;
    const Status status = EnsureRunDirectory((folder / "none/run").c_str(), 0700);
    CHECK(status.code() == Code::kSystem);
    CHECK(status.error() == ENOENT);
  }

  TEST_CASE("a lock that is held answers kBusy with its holder, until it is let go") {
    const Folder folder;
    const std::string path = folder / "lock";
    Fd lock;
    Fd second;
    pid_t holder = 1;
    REQUIRE(LockFile(path.c_str(), &lock, &holder).ok());
    CHECK(holder == 0);
    CHECK(ModeOf(path) == 0600);
    CHECK((::fcntl(lock.get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(LockFile(path.c_str(), &second, &holder).code() == Code::kBusy);
    CHECK(holder == ::getpid());
    CHECK_FALSE(second.valid());
    lock.Reset();
    CHECK(LockFile(path.c_str(), &second, &holder).ok());
    CHECK(holder == 0);
  }

  TEST_CASE("a lock names the process that holds it, and is freed by its SIGKILL") {
    const Folder folder;
    const std::string path = folder / "lock";
    Cue held;
    Child child([&] {
      Fd lock;
      pid_t holder = 0;
      if (!LockFile(path.c_str(), &lock, &holder).ok()) return 1;
      held.Give();
      return WaitForever();
    });
    held.writer.Reset();
    REQUIRE(held.Await());
    Fd lock;
    pid_t holder = 0;
    CHECK(LockFile(path.c_str(), &lock, &holder).code() == Code::kBusy);
    CHECK(holder == child.pid());
    REQUIRE(::kill(child.pid(), SIGKILL) == 0);
    CHECK(child.Reap() == -SIGKILL);
    CHECK(LockFile(path.c_str(), &lock, &holder).ok());
    Fd second;
    CHECK(LockFile(path.c_str(), &second, &holder).code() == Code::kBusy);
    CHECK(holder == ::getpid());
  }

  TEST_CASE("a holder that wrote nothing sensible is unknown") {
    const Folder folder;
    const std::string path = folder / "lock";
    Fd lock;
    pid_t holder = 0;
    REQUIRE(LockFile(path.c_str(), &lock, &holder).ok());
    Fd second;
    for (const std::string& text : {std::string(), std::string("nobody"), std::string(100, 'x')}) {
      REQUIRE(::ftruncate(lock.get(), 0) == 0);
      REQUIRE(::pwrite(lock.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
      holder = 1;
      CHECK(LockFile(path.c_str(), &second, &holder).code() == Code::kBusy);
      CHECK(holder == 0);
    }
  }

  TEST_CASE("a lock whose file was longer holds no rest of it") {
    const Folder folder;
    const std::string path = folder / "lock";
    {
      const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
      REQUIRE(::pwrite(file.get(), "12345678901234567890", 20, 0) == 20);
    }
    Fd lock;
    Fd second;
    pid_t holder = 0;
    REQUIRE(LockFile(path.c_str(), &lock, &holder).ok());
    CHECK(LockFile(path.c_str(), &second, &holder).code() == Code::kBusy);
    CHECK(holder == ::getpid());
  }

  TEST_CASE("a link or a folder in the place of a lock is refused") {
    const Folder folder;
    const std::string link = folder / "link";
    REQUIRE(::symlink((folder / "elsewhere").c_str(), link.c_str()) == 0);
    Fd lock;
    pid_t holder = 0;
    CHECK(LockFile(link.c_str(), &lock, &holder).code() == Code::kUnsafeFolder);
    CHECK(::access((folder / "elsewhere").c_str(), F_OK) != 0);
    CHECK(LockFile(folder.path().c_str(), &lock, &holder).code() == Code::kSystem);
    CHECK_FALSE(lock.valid());
  }
}

}  // namespace actor_ipc
