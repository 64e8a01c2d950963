#include "os/event.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "doctest/doctest.h"

namespace actor_ipc {

namespace {

bool Readable(int event) {
  pollfd ready{event, POLLIN, 0};
  return ::poll(&ready, 1, 0) == 1;
}

Fd NewEvent() {
  Fd event;
  REQUIRE(CreateEvent(&event).ok());
  return event;
}

}  // namespace

TEST_SUITE("event") {
  TEST_CASE("a new event is not rung, does not block and closes on exec") {
    const Fd event = NewEvent();
    CHECK_FALSE(Readable(event.get()));
    CHECK((::fcntl(event.get(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(event.get(), F_GETFD) & FD_CLOEXEC) != 0);
  }

  TEST_CASE("a ring makes it readable until it is cleared, however often it was rung") {
    const Fd event = NewEvent();
    for (int i = 0; i < 3; i++) REQUIRE(RingEvent(event.get()).ok());
    CHECK(Readable(event.get()));
    ClearEvent(event.get());
    CHECK_FALSE(Readable(event.get()));
    REQUIRE(RingEvent(event.get()).ok());
    CHECK(Readable(event.get()));
  }

  TEST_CASE("a full counter counts as rung") {
    const Fd event = NewEvent();
    const uint64_t full = UINT64_MAX - 1;
    REQUIRE(::write(event.get(), &full, sizeof full) == sizeof full);
    CHECK(RingEvent(event.get()).ok());
    CHECK(Readable(event.get()));
    ClearEvent(event.get());
    CHECK_FALSE(Readable(event.get()));
  }

  TEST_CASE("clearing what was not rung does nothing") {
    const Fd event = NewEvent();
    ClearEvent(event.get());
    CHECK_FALSE(Readable(event.get()));
  }

  TEST_CASE("clearing does not wait when a peer has made the descriptor blocking") {
    const Fd event = NewEvent();
    const Fd of_the_peer(::dup(event.get()));
    REQUIRE(::fcntl(of_the_peer.get(), F_SETFL, 0) == 0);
    ClearEvent(event.get());  // Would wait for ever.
    REQUIRE(RingEvent(event.get()).ok());
    ClearEvent(event.get());
    CHECK_FALSE(Readable(event.get()));
  }

  TEST_CASE("ringing a closed descriptor is an error of the system") {
    CHECK(RingEvent(-1).code() == Code::kSystem);
  }

  TEST_CASE("an eventfd passes the check, whoever made it") {
    CHECK(CheckEvent(NewEvent().get()).ok());
    CHECK(CheckEvent(Fd(::eventfd(5, 0)).get()).ok());
  }

  TEST_CASE("other descriptors are refused as bells") {
    int numbers[2];
    REQUIRE(::pipe(numbers) == 0);
    const Fd reader(numbers[0]);
    const Fd writer(numbers[1]);
    CHECK(CheckEvent(reader.get()).code() == Code::kBadPacket);
    CHECK(CheckEvent(writer.get()).code() == Code::kBadPacket);
    CHECK(CheckEvent(Fd(::epoll_create1(EPOLL_CLOEXEC)).get()).code() == Code::kBadPacket);
    CHECK(CheckEvent(Fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)).get()).code() == Code::kBadPacket);
    // Its name is its maker's choice, so that a name alone proves nothing.
    CHECK(CheckEvent(Fd(::memfd_create("[eventfd]", MFD_CLOEXEC)).get()).code() == Code::kBadPacket);
    CHECK(CheckEvent(Fd(::open("/dev/null", O_RDWR | O_CLOEXEC)).get()).code() == Code::kBadPacket);
    CHECK(CheckEvent(-1).code() == Code::kSystem);
  }
}

}  // namespace actor_ipc
