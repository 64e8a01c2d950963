#include "shm/pipe.h"

#include <algorithm>
#include <utility>

namespace actor_ipc {

namespace {

uint32_t Load(const Word& word) { return word.load(std::memory_order_relaxed); }  // Relaxed: the lock orders all of it.

bool Is(const PipeEntry* entry, EntryState state) { return Load(entry->state) == static_cast<uint32_t>(state); }

}  // namespace

bool Pipe::HasRoom() const { return Load(record_->spare) != 0; }

void Pipe::Format(PipeEntry* entries, uint32_t capacity) {
  for (uint32_t i = 0; i < capacity; i++) {
    entries[i].state.store(static_cast<uint32_t>(EntryState::kSpare), std::memory_order_relaxed);
    entries[i].next.store(i + 1 < capacity ? i + 2 : 0, std::memory_order_relaxed);
  }
}

Status Pipe::Push(uint32_t block) {
  const uint32_t number = Load(record_->spare);
  if (number == 0) return Status::Of(Code::kAgain, "pipe full");
  PipeEntry* entry = At(number);
  if (entry == nullptr || !Is(entry, EntryState::kSpare)) return Broken();
  const uint64_t order = Load64(record_->enqueued) + 1;
  journal_->Set(&record_->spare, Load(entry->next));
  journal_->Set(&entry->state, static_cast<uint32_t>(EntryState::kWaiting));
  journal_->Set(&entry->next, 0);
  journal_->Set(&entry->block, block);
  journal_->Set(&entry->deliveries, 0);
  journal_->Set64(&entry->order, order);
  if (const uint32_t tail = Load(record_->tail); tail != 0) {
    PipeEntry* last = At(tail);
    if (last == nullptr || !Is(last, EntryState::kWaiting)) return Broken();
    journal_->Set(&last->next, number);
  } else {
    journal_->Set(&record_->head, number);
  }
  journal_->Set(&record_->tail, number);
  journal_->Set(&record_->packets, Load(record_->packets) + 1);
  journal_->Set64(&record_->enqueued, order);
  return Status::Ok();
}

Status Pipe::Take(uint32_t owner, Taken* taken) {
  if (Status status = Unlist(taken); !status.ok()) return status;
  PipeEntry* entry = At(taken->entry);
  journal_->Set(&record_->unacknowledged, Load(record_->unacknowledged) + 1);
  journal_->Set(&entry->state, static_cast<uint32_t>(EntryState::kUnacknowledged));
  journal_->Set(&entry->owner, owner);
  journal_->Set(&entry->deliveries, taken->deliveries);
  return Status::Ok();
}

Status Pipe::Pop(Taken* taken) {
  if (Status status = Unlist(taken); !status.ok()) return status;
  Spare(taken->entry, At(taken->entry));
  return Status::Ok();
}

Status Pipe::Forget(uint32_t number, uint32_t owner, uint32_t* block) {
  PipeEntry* entry = nullptr;
  if (Status status = Owned(number, owner, &entry); !status.ok()) return status;
  *block = Load(entry->block);
  journal_->Set(&record_->unacknowledged, Load(record_->unacknowledged) - 1);
  Spare(number, entry);
  return Status::Ok();
}

Status Pipe::PutBack(uint32_t number, uint32_t owner) {
  PipeEntry* entry = nullptr;
  if (Status status = Owned(number, owner, &entry); !status.ok()) return status;
  const uint64_t order = Load64(entry->order);
  // Only what was put back before can be older, so this is short.
  uint32_t behind = Load(record_->head);
  PipeEntry* before = nullptr;
  for (uint32_t i = 0; behind != 0; i++) {
    PipeEntry* other = At(behind);
    if (other == nullptr || i == capacity_) return Broken();
    if (Load64(other->order) > order) break;
    before = other;
    behind = Load(other->next);
  }
  journal_->Set(&entry->state, static_cast<uint32_t>(EntryState::kWaiting));
  journal_->Set(&entry->next, behind);
  journal_->Set(before == nullptr ? &record_->head : &before->next, number);
  if (behind == 0) journal_->Set(&record_->tail, number);
  journal_->Set(&record_->packets, Load(record_->packets) + 1);
  journal_->Set(&record_->unacknowledged, Load(record_->unacknowledged) - 1);
  return Status::Ok();
}

std::vector<uint32_t> Pipe::EntriesOf(uint32_t owner) const {
  std::vector<std::pair<uint64_t, uint32_t>> found;
  for (uint32_t i = 0; i < capacity_ && Load(record_->unacknowledged) != 0; i++)
    if (Is(&entries_[i], EntryState::kUnacknowledged) && Load(entries_[i].owner) == owner)
      found.emplace_back(Load64(entries_[i].order), i + 1);
  std::sort(found.rbegin(), found.rend());
  std::vector<uint32_t> numbers;
  for (const auto& [order, number] : found) numbers.push_back(number);
  return numbers;
}

Status Pipe::Unlist(Taken* taken) {
  const uint32_t number = Load(record_->head);
  if (number == 0) return Status::Of(Code::kAgain, "pipe empty");
  const PipeEntry* entry = At(number);
  if (entry == nullptr || !Is(entry, EntryState::kWaiting)) return Broken();
  const uint32_t next = Load(entry->next);
  *taken = Taken{number, Load(entry->block), Load(entry->deliveries) + 1};
  journal_->Set(&record_->head, next);
  if (next == 0) journal_->Set(&record_->tail, 0);
  journal_->Set(&record_->packets, Load(record_->packets) - 1);
  return Status::Ok();
}

void Pipe::Spare(uint32_t number, PipeEntry* entry) {
  journal_->Set(&entry->state, static_cast<uint32_t>(EntryState::kSpare));
  journal_->Set(&entry->next, Load(record_->spare));
  journal_->Set(&record_->spare, number);
  journal_->Set64(&record_->dequeued, Load64(record_->dequeued) + 1);
}

Status Pipe::Owned(uint32_t number, uint32_t owner, PipeEntry** entry) const {
  PipeEntry* found = At(number);
  if (found == nullptr) return Broken();
  if (!Is(found, EntryState::kUnacknowledged) || Load(found->owner) != owner)
    return Status::Of(Code::kNotFound, "unacknowledged packet");
  *entry = found;
  return Status::Ok();
}

}  // namespace actor_ipc
