// Event: an eventfd, the bell of one direction of one session.
//
// Thread safety: all functions may be called from any thread.
// Whoever holds the descriptor can also read it, so a bell is never shared by two sessions: a bad peer could swallow
// only the rings meant for itself.
#pragma once

#include "os/fd.h"
#include "os/status.h"

namespace actor_ipc {

/// A non-blocking, close-on-exec eventfd. Errors: kSystem.
Status CreateEvent(Fd* event);

/// Makes `event` readable. A full counter is readable already, so it counts as rung. Errors: kSystem.
Status RingEvent(int event);

/// Makes `event` unreadable again; nothing to take is fine. Never blocks, even if a peer cleared O_NONBLOCK.
void ClearEvent(int event);

/// Whether a received descriptor is an eventfd. Errors: kBadPacket, kSystem.
Status CheckEvent(int event);

}  // namespace actor_ipc
