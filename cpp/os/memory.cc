#include "os/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <utility>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace actor_ipc {

Mapping::Mapping(Mapping&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      writable_(other.writable_) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    if (base_ != nullptr) ::munmap(base_, bytes_);
    base_ = std::exchange(other.base_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    writable_ = other.writable_;
  }
  return *this;
}

Mapping::~Mapping() {
  if (base_ != nullptr) ::munmap(base_, bytes_);
}

size_t PageBytes() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }

Status CreateMemory(const char* label, size_t bytes, Access access, Fd* file, Mapping* mapping) {
  // Kernels before 6.3 don't know MFD_NOEXEC_SEAL and answer EINVAL.
  int number = ::memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  if (number < 0 && errno == EINVAL) number = ::memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (number < 0) return Status::System(errno, "memfd_create");
  Fd owned(number);
  if (::ftruncate(owned.get(), static_cast<off_t>(bytes)) != 0) return Status::System(errno, "ftruncate");
  // Another uid that is handed a read-only descriptor could otherwise reopen it for writing through /proc.
  if (::fchmod(owned.get(), 0600) != 0) return Status::System(errno, "fchmod");
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, owned.get(), 0);
  if (base == MAP_FAILED) return Status::System(errno, "mmap");
  Mapping mapped(base, bytes, true);
  // One call: with F_SEAL_SEAL last and separate, a holder in between could add seals of its own.
  int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (access == Access::kOwnerOnly) seals |= F_SEAL_FUTURE_WRITE;
  if (::fcntl(owned.get(), F_ADD_SEALS, seals) != 0) return Status::System(errno, "fcntl(F_ADD_SEALS)");
  *file = std::move(owned);
  *mapping = std::move(mapped);
  return Status::Ok();
}

Status MemoryBytes(int file, size_t* bytes) {
  struct stat facts;
  if (::fstat(file, &facts) != 0) return Status::System(errno, "fstat");
  *bytes = static_cast<size_t>(facts.st_size);
  return Status::Ok();
}

Status OpenForReading(int file, Fd* reading) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  Fd opened(::open(path, O_RDONLY | O_CLOEXEC));
  if (!opened.valid()) return Status::System(errno, "open of a memory file for reading");
  *reading = std::move(opened);
  return Status::Ok();
}

Status GivePagesBack(const Mapping& mapping, size_t offset, size_t bytes) {
  if (!mapping.writable() || offset > mapping.bytes() || bytes > mapping.bytes() - offset)
    return Status::Of(Code::kTooLarge, "pages to give back");
  const size_t page = PageBytes();
  const size_t first = (offset + page - 1) / page * page;
  const size_t end = (offset + bytes) / page * page;
  if (first >= end) return Status::Ok();
  if (::madvise(mapping.base() + first, end - first, MADV_REMOVE) != 0) return Status::System(errno, "madvise");
  return Status::Ok();
}

namespace {

Status MapReceived(int file, size_t bytes, size_t bytesMax, bool writable, Mapping* mapping) {
  if (bytes > bytesMax) return Status::Of(Code::kTooLarge, "segment size");
  const int seals = ::fcntl(file, F_GET_SEALS);
  if (seals < 0) return Status::Of(Code::kBadSegment, "not a memory file");
  if ((seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW))
    return Status::Of(Code::kBadSegment, "not sealed against a change of size");
  // A huge-page file is sealed too, but touching it can raise SIGBUS when the pool is empty.
  struct statfs system;
  if (::fstatfs(file, &system) != 0) return Status::System(errno, "fstatfs");
  if (system.f_type != TMPFS_MAGIC) return Status::Of(Code::kBadSegment, "not ordinary shared memory");
  size_t actual = 0;
  if (Status status = MemoryBytes(file, &actual); !status.ok()) return status;
  if (actual != bytes || bytes == 0) return Status::Of(Code::kBadSegment, "another size than announced");
  void* base = ::mmap(nullptr, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, file, 0);
  if (base == MAP_FAILED) return Status::System(errno, "mmap");
  *mapping = Mapping(base, bytes, writable);
  return Status::Ok();
}

}  // namespace

Status MapForReading(int file, size_t bytes, size_t bytesMax, Mapping* mapping) {
  return MapReceived(file, bytes, bytesMax, false, mapping);
}

Status MapForWriting(int file, size_t bytes, size_t bytesMax, Mapping* mapping) {
  return MapReceived(file, bytes, bytesMax, true, mapping);
}

}  // namespace actor_ipc
