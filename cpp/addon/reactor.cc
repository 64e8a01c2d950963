#include "addon/reactor.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "addon/pulse_object.h"

namespace actor_ipc {

namespace {

/// How long one turn of the loop looks at hot doorbells before timers and other descriptors get their turn.
constexpr uint64_t kSliceNs = 5'000;
/// The same while messages keep coming: a busy session may hold the loop this long.
constexpr uint64_t kBusyNs = 50'000;

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <typename Handle>
Handle* NewHandle(int type) {
  return static_cast<Handle*>(calloc(1, uv_handle_size(type)));
}

uv_handle_t* Base(void* handle) { return static_cast<uv_handle_t*>(handle); }

}  // namespace

bool CheckUvTypes() {
  const auto named = [](int type, const char* name) {
    const char* actual = uv_handle_type_name(type);
    return actual != nullptr && strcmp(actual, name) == 0;
  };
  return named(kUvPoll, "poll") && named(kUvPrepare, "prepare") && named(kUvIdle, "idle");
}

Poll::Poll(Reactor* reactor, int fd, Ready ready) : reactor_(reactor), ready_(std::move(ready)) {
  handle_ = NewHandle<uv_poll_t>(kUvPoll);
  if (handle_ == nullptr || reactor->ending_ || uv_poll_init(reactor->loop_, handle_, fd) != 0) {
    free(handle_);
    handle_ = nullptr;
    return;
  }
  uv_handle_set_data(Base(handle_), this);
  reactor->Track(this);
}

bool Poll::Start(int events) { return handle_ != nullptr && uv_poll_start(handle_, events, &Poll::OnReady) == 0; }

void Poll::Stop() {
  if (handle_ != nullptr) uv_poll_stop(handle_);
}

void Poll::Hold(bool hold) {
  if (handle_ == nullptr) return;
  if (hold)
    uv_ref(Base(handle_));
  else
    uv_unref(Base(handle_));
}

void Poll::Close() {
  if (handle_ == nullptr) return;
  uv_poll_stop(handle_);
  reactor_->Untrack(this);
  reactor_->CloseHandle(Base(std::exchange(handle_, nullptr)));
}

void Poll::OnReady(uv_poll_t* handle, int status, int events) {
  auto* self = static_cast<Poll*>(uv_handle_get_data(Base(handle)));
  // A bad status (a descriptor that turned bad) is shown to the owner as readiness: its next call meets the error.
  self->reactor_->Guard([&] { self->ready_(status < 0 ? kUvReadable | kUvWritable : events); });
}

Reactor* Reactor::Of(Napi::Env env) {
  auto* reactor = env.GetInstanceData<Reactor>();
  if (reactor == nullptr) {
    reactor = new Reactor(env);
    // The cleanup hook deletes it, after its last handle has closed; the instance data does not.
    env.SetInstanceData<Reactor, &Reactor::KeepReactor>(reactor);
  }
  return reactor;
}

Reactor::Reactor(Napi::Env env) : env_(env) {
  napi_get_uv_event_loop(env, &loop_);
  const Napi::HandleScope scope(env);
  napi_async_init(env, Napi::Object::New(env), Napi::String::New(env, "actor-ipc"), &context_);
  napi_add_async_cleanup_hook(
      env,
      [](napi_async_cleanup_hook_handle handle, void* self) {
        auto* reactor = static_cast<Reactor*>(self);
        reactor->hook_ = handle;
        reactor->End();
      },
      this, nullptr);
  prepare_ = NewHandle<uv_prepare_t>(kUvPrepare);
  idle_ = NewHandle<uv_idle_t>(kUvIdle);
  uv_prepare_init(loop_, prepare_);
  uv_idle_init(loop_, idle_);
  uv_handle_set_data(Base(prepare_), this);
  uv_unref(Base(prepare_));
  uv_unref(Base(idle_));
}

void Reactor::End() {
  ending_ = true;
  // First, so that the keep-alive thread asks nothing more of a loop that is about to go.
  if (const std::shared_ptr<PulseBell> bell = pulse_bell_.lock()) bell->End();
  hot_.clear();
  const std::vector<Poll*> polls = polls_;
  for (Poll* poll : polls) poll->Close();
  CloseHandle(Base(std::exchange(prepare_, nullptr)));
  CloseHandle(Base(std::exchange(idle_, nullptr)));
}

void Reactor::CloseHandle(uv_handle_t* handle) {
  closing_++;
  uv_handle_set_data(handle, this);
  uv_close(handle, [](uv_handle_t* closed) {
    auto* reactor = static_cast<Reactor*>(uv_handle_get_data(closed));
    free(closed);
    reactor->closing_--;
    reactor->EndIfClosed();
  });
}

void Reactor::EndIfClosed() {
  if (!ending_ || closing_ > 0) return;
  napi_remove_async_cleanup_hook(hook_);
  delete this;
}

void Reactor::Track(Poll* poll) { polls_.push_back(poll); }

void Reactor::Untrack(Poll* poll) { polls_.erase(std::remove(polls_.begin(), polls_.end(), poll), polls_.end()); }

void Reactor::Forget(int number) {
  for (auto file = kept_.begin(); file != kept_.end(); ++file) {
    if (file->get() != number) continue;
    file->Release();
    kept_.erase(file);
    return;
  }
}

void Reactor::AddHot(Spinner* spinner) {
  if (ending_) return;
  hot_.push_back(spinner);
  SetSpinning(true);
}

void Reactor::RemoveHot(Spinner* spinner) { std::replace(hot_.begin(), hot_.end(), spinner, static_cast<Spinner*>(nullptr)); }

void Reactor::SetSpinning(bool on) {
  if (spinning_ == on || prepare_ == nullptr) return;
  spinning_ = on;
  if (on) {
    uv_prepare_start(prepare_, [](uv_prepare_t* handle) {
      auto* reactor = static_cast<Reactor*>(uv_handle_get_data(Base(handle)));
      reactor->Guard([&] { reactor->Prepare(); });
    });
    // An active idle handle makes the loop poll without waiting, so that others get their turn between two slices.
    uv_idle_start(idle_, [](uv_idle_t*) {});
  } else {
    uv_prepare_stop(prepare_);
    uv_idle_stop(idle_);
  }
}

void Reactor::Prepare() {
  const uint64_t begin = NowNs();
  uint64_t now = begin;
  uint64_t until = begin + kSliceNs;
  do {
    bool found = false;
    // By index: a callback may add to the list or leave holes in it.
    for (size_t i = 0; i < hot_.size(); i++) {
      if (hot_[i] != nullptr && hot_[i]->Due()) {
        hot_[i]->Deliver(now);
        found = true;
      }
    }
    if (!found) Pause();
    now = NowNs();
    if (found) until = std::min(begin + kBusyNs, now + kSliceNs);
  } while (now < until && !hot_.empty());

  for (Spinner*& spinner : hot_)
    if (spinner != nullptr && spinner->Rest(now)) spinner = nullptr;
  hot_.erase(std::remove(hot_.begin(), hot_.end(), nullptr), hot_.end());
  SetSpinning(!hot_.empty());
}

Napi::Value Reactor::Call(const Napi::FunctionReference& callback, std::initializer_list<napi_value> arguments) {
  if (ending_) return {};
  napi_value result = nullptr;
  const napi_status status =
      napi_make_callback(env_, context_, Napi::Object::New(env_), callback.Value(), arguments.size(),
                         arguments.begin(), &result);
  if (status == napi_ok) return Napi::Value(env_, result);
  napi_value error = nullptr;
  bool pending = false;
  napi_is_exception_pending(env_, &pending);
  if (pending && napi_get_and_clear_last_exception(env_, &error) == napi_ok) napi_fatal_exception(env_, error);
  return {};
}

void Reactor::Guard(const std::function<void()>& body) {
  try {
    body();
  } catch (const Napi::Error& error) {
    // A worker that is being terminated refuses even to look at the error.
    try {
      const Napi::HandleScope scope(env_);
      napi_fatal_exception(env_, error.Value());
    } catch (const Napi::Error&) {
    }
  }
}

uint64_t Reactor::NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace actor_ipc
