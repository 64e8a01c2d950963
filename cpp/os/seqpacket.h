// Seqpacket: Unix sockets that keep packet borders, carry descriptors and say who sent.
//
// Thread safety: free functions on descriptors; one reader and one writer per socket.
// Facts that callers rely on
//  1. A packet is never empty: an empty one would read as the end of the stream.
//  2. kReset comes once, before packets that the peer had still queued; keep receiving until kClosed.
//  3. SO_PEERCRED at the connecting end names the process that called listen, which need not be the one that answers;
//     the credentials of each packet name its sender.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "os/fd.h"
#include "os/status.h"

namespace actor_ipc {

/// More bytes than this never travel in one packet; below the kernel's default of 212,960.
inline constexpr size_t kPacketBytesMax = 192 * 1024;
/// A packet carries at most a segment, a bell and a handle or two; more is a protocol error.
inline constexpr size_t kPacketFdsMax = 8;

struct Credentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

struct Packet {
  size_t bytes = 0;
  size_t fd_count = 0;
  Fd fds[kPacketFdsMax];
  Credentials sender;
};

/// A socket that listens at `path` with `mode`, replacing a socket file that nobody serves.
/// REQUIRES: the caller holds the lock of that name, so no living process serves it. Errors: kTooLarge, kSystem.
Status ListenPacket(const char* path, mode_t mode, int backlog, Fd* listener);

/// Errors: kAgain (none waiting), kSystem.
Status AcceptPacket(int listener, Fd* socket);

/// Errors: kAgain (backlog full: nothing to poll on, try later), kSystem (ENOENT, ECONNREFUSED, EACCES).
Status ConnectPacket(const char* path, Fd* socket);

/// A connected pair, for a child. Errors: kSystem.
Status PairPacket(Fd* one, Fd* other);

/// Marks an inherited descriptor as ours: non-blocking, close-on-exec, credentials on. Errors: kBadPacket, kSystem.
Status AdoptPacket(int socket);

/// Sends one whole packet or nothing. Errors: kAgain, kTooLarge, kBadPacket (empty), kClosed, kReset, kSystem.
Status SendPacket(int socket, const uint8_t* bytes, size_t count, const int* fds, size_t fd_count);

/// Receives one packet into `buffer`. Errors: kAgain, kClosed, kReset, kBadPacket, kSystem.
/// Descriptors of a refused packet are closed.
Status ReceivePacket(int socket, uint8_t* buffer, size_t capacity, Packet* packet);

/// SO_PEERCRED. Errors: kSystem.
Status PeerCredentials(int socket, Credentials* peer);

}  // namespace actor_ipc
