// PF_KEY requests about policies (KAME's SADB_X_SPD*, in Linux's form).
#include <algorithm>
#include <cerrno>
#include <utility>

#include "host/base/error.hpp"
#include "host/base/log.hpp"
#include "host/salined/convert.hpp"
#include "host/salined/engine.hpp"

namespace saline::daemon {

using base::Error;
using pfkey::Client;
using pfkey::Message;

namespace {

Message policy_reply(const Message& request, const ipsec::Policy& policy) {
  Message reply = Message::reply_to(request);
  describe_policy(policy, reply);
  return reply;
}

[[noreturn]] void no_such_policy() { throw Error(ENOENT, "there is no such policy"); }

}  // namespace

// SADB_X_SPDADD, SPDUPDATE, SPDSETIDX: POLICY SRC DST [HARD] -> the same, with the id.
Message Engine::commit_policy(Message& request, bool may_replace) {
  ipsec::Policy policy = to_policy(request);
  for (ipsec::Request& wanted : policy.requests) {
    // "unique" without a number: KAME binds it to SAs by a number of its own.
    if (wanted.level == ipsec::Level::unique && wanted.reqid == 0) wanted.reqid = ++last_own_reqid_;
  }
  policy.validate();
  const auto existing = parts_.spd.find(policy.direction, policy.selector);
  policy.id = existing ? existing->id : policy_id(++last_policy_number_, policy.direction);
  const auto added =
      may_replace ? parts_.spd.update(std::move(policy)) : parts_.spd.add(std::move(policy));
  policy_extras_[added->id] = {request.hard, parts_.clock()};
  parts_.spd.publish();
  review_placements();
  Message reply = policy_reply(request, *added);
  reply.hard = request.hard;
  reply.soft = request.soft;
  return reply;
}

Message Engine::spdadd(Message& request, const Client&) { return commit_policy(request, false); }
Message Engine::spdsetidx(Message& request, const Client&) { return commit_policy(request, false); }
Message Engine::spdupdate(Message& request, const Client&) { return commit_policy(request, true); }

void Engine::remove_policy(std::uint32_t id) {
  parts_.spd.remove(id);
  policy_extras_.erase(id);
  parts_.spd.publish();
  review_placements();
}

// SADB_X_SPDDELETE: POLICY(direction) SRC DST -> the same.
Message Engine::spddelete(Message& request, const Client&) {
  const auto policy = parts_.spd.find(static_cast<ipsec::Direction>(request.policy->direction),
                                      to_selector(request));
  if (policy == nullptr) no_such_policy();
  remove_policy(policy->id);
  return policy_reply(request, *policy);
}

// SADB_X_SPDDELETE2: POLICY(id) -> POLICY SRC DST.
Message Engine::spddelete2(Message& request, const Client&) {
  const auto policy = parts_.spd.find(request.policy->id);
  if (policy == nullptr) no_such_policy();
  remove_policy(policy->id);
  return policy_reply(request, *policy);
}

Message Engine::describe(const ipsec::Policy& policy) const {
  Message message;
  describe_policy(policy, message);
  const auto extra = policy_extras_.find(policy.id);
  const std::uint64_t added_s = extra == policy_extras_.end() ? 0 : extra->second.added_s;
  message.current = pfkey::Lifetime{0, policy.bytes.get(), added_s, policy.last_used_s.get()};
  if (extra != policy_extras_.end() && extra->second.hard) {
    message.hard = extra->second.hard;
  } else {
    message.hard = pfkey::Lifetime{};
  }
  return message;
}

// SADB_X_SPDGET: POLICY(id) -> POLICY SRC DST CURRENT HARD.
Message Engine::spdget(Message& request, const Client&) {
  const auto policy = parts_.spd.find(request.policy->id);
  if (policy == nullptr) no_such_policy();
  return describe(*policy);
}

// SADB_X_SPDFLUSH -> header.
Message Engine::spdflush(Message& request, const Client&) {
  parts_.spd.clear();
  policy_extras_.clear();
  parts_.spd.publish();
  pending_.clear();
  review_placements();
  return Message::reply_to(request);
}

class PolicyDump : public pfkey::DumpSource {
 public:
  PolicyDump(const Engine& engine, std::vector<std::uint32_t> ids)
      : engine_(engine), ids_(std::move(ids)) {}
  std::optional<Message> next() override {
    while (next_ < ids_.size()) {
      if (const auto policy = engine_.parts_.spd.find(ids_[next_++])) {
        return engine_.describe(*policy);
      }
    }
    return std::nullopt;
  }

 private:
  const Engine& engine_;
  std::vector<std::uint32_t> ids_;
  std::size_t next_ = 0;
};

// SADB_X_SPDDUMP -> one message per policy, as SPDGET's, in the order of search.
std::unique_ptr<pfkey::DumpSource> Engine::spddump(Message&, const Client&) {
  std::vector<std::uint32_t> ids;
  for (const auto& policy : parts_.spd.all()) ids.push_back(policy->id);
  return std::make_unique<PolicyDump>(*this, std::move(ids));
}

// KAME: addtime of HARD is the policy's lifetime, usetime how long it may lie idle.
void Engine::expire_policies(std::uint64_t now_s) {
  std::vector<std::uint32_t> over;
  for (const auto& [id, extra] : policy_extras_) {
    if (!extra.hard) continue;
    const auto policy = parts_.spd.find(id);
    if (policy == nullptr) continue;
    const std::uint64_t used_s = std::max(extra.added_s, policy->last_used_s.get());
    const bool old = extra.hard->addtime_s != 0 && now_s - extra.added_s >= extra.hard->addtime_s;
    const bool idle =
        extra.hard->usetime_s != 0 && now_s > used_s && now_s - used_s >= extra.hard->usetime_s;
    if (old || idle) over.push_back(id);
  }
  for (const std::uint32_t id : over) {
    Message message = describe(*parts_.spd.find(id));
    message.type = pfkey::MessageType::spdexpire;
    remove_policy(id);
    if (announcer_ != nullptr) announcer_->to_all(message);
  }
}

}  // namespace saline::daemon
