// Process: who a process number belongs to, and proof that it has ended.
//
// Thread safety: free functions.
// A number alone is no identity, since it is given out again; number, start ticks and boot id together are.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "os/fd.h"
#include "os/status.h"

namespace actor_ipc {

/// Clock ticks after boot at which `pid` started (field 22 of /proc/PID/stat). Errors: kGone, kSystem.
Status StartTicks(pid_t pid, uint64_t* ticks);

/// The kernel's id of this boot, 36 characters and a zero. Errors: kSystem.
Status BootId(char* id, size_t capacity);

/// A pidfd of exactly that process: readable once it has ended. `ticks` 0 skips the check of the identity.
/// Errors: kGone (ended, or the number is another's now), kSystem (ENOSYS before Linux 5.3).
Status OpenProcess(pid_t pid, uint64_t ticks, Fd* process);

/// Signals through a pidfd, so never a stranger. Errors: kGone, kSystem (EPERM means alive, but not ours).
Status SignalProcess(int process, int signal);

/// Takes the status of a child that has ended and that nobody else waits for. Answers false if it has not ended, or is no
/// child of ours.
bool ReapChild(pid_t pid);

/// Whether a pidfd's process has ended.
bool ProcessEnded(int process);

/// The kernel says so: the number is gone, or belongs to another process, or its process has ended with all its threads.
bool ProvenDead(pid_t pid, uint64_t ticks);

}  // namespace actor_ipc
