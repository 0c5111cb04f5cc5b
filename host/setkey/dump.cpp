// The two listings, in the order and the spacing of KAME's libipsec.
#include "host/setkey/dump.hpp"

#include <netdb.h>
#include <netinet/in.h>

#include <array>
#include <cstdio>
#include <string>

#include "host/crypto/algorithms.hpp"
#include "host/libipsec/policy_text.hpp"

namespace saline::setkey {
namespace {

using pfkey::AddressExtension;
using pfkey::Lifetime;
using pfkey::Message;
using pfkey::SaType;

template <typename... Arguments>
std::string format(const char* pattern, Arguments... arguments) {
  char text[256];
  std::snprintf(text, sizeof text, pattern, arguments...);
  return text;
}

// "Nov 24 11:26:33 2026", or as many spaces for never.
std::string time_text(std::uint64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::array<char, 64> text{};
  if (time == 0 || !::ctime_r(&time, text.data())) return std::string(20, ' ');
  return std::string(text.data() + 4, 20);
}

std::string port_text(std::uint16_t port) {
  return port ? "[" + std::to_string(port) + "]" : "[any]";
}

void print_host(std::ostream& out, const std::optional<AddressExtension>& address,
                const std::optional<std::uint16_t>& nat_t_port, bool ports) {
  if (!address) return;
  out << address->endpoint.address.to_string();
  if (nat_t_port)
    out << "[" << *nat_t_port << "]";
  else if (ports)
    out << "[" << address->endpoint.port << "]";
  out << " ";
}

std::string satype_text(const Message& entry) {
  if (entry.satype == SaType::esp && entry.nat_t_type.value_or(0) != 0)
    return *entry.nat_t_type == pfkey::kNatTEspInUdp ? "esp-udp"
                                                     : format("natt+%u", *entry.nat_t_type);
  switch (entry.satype) {
    case SaType::esp:
      return "esp";
    case SaType::ah:
      return "ah";
    case SaType::ipcomp:
      return "ipcomp";
    default:
      return std::to_string(static_cast<unsigned>(entry.satype));
  }
}

// Groups of four bytes, 32 bytes a line, KAME's hexdump.
void print_key(std::ostream& out, const pfkey::Key& key) {
  static constexpr char kDigits[] = "0123456789abcdef";
  const auto bytes = key.bytes.bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i != 0 && i % 32 == 0) out << "\n";
    if (i % 4 == 0) out << " ";
    out << kDigits[bytes[i] >> 4] << kDigits[bytes[i] & 15];
  }
}

void print_algorithm(std::ostream& out, char letter, const crypto::Algorithm* algorithm,
                     std::uint8_t id, const std::optional<pfkey::Key>& key) {
  if (!key) return;
  out << "\t" << letter << ": " << (algorithm ? std::string(algorithm->name) : std::to_string(id))
      << " ";
  print_key(out, *key);
  out << "\n";
}

void print_algorithms(std::ostream& out, const Message& entry) {
  const pfkey::Sa& sa = *entry.sa;
  if (entry.satype == SaType::ipcomp) {
    static constexpr const char* kNames[] = {"none", "oui", "deflate", "lzs"};
    out << "\tC: " << (sa.encrypt < 4 ? kNames[sa.encrypt] : std::to_string(sa.encrypt).c_str())
        << " \n";
    return;
  }
  print_algorithm(out, 'E', crypto::find_encryption(sa.encrypt, sa.flags), sa.encrypt,
                  entry.key_encrypt);
  print_algorithm(out, 'A', crypto::find_integrity(sa.auth), sa.auth, entry.key_auth);
}

void print_lifetimes(std::ostream& out, const Message& entry, std::time_t now) {
  if (!entry.current) return;
  const Lifetime& current = *entry.current;
  const Lifetime hard = entry.hard.value_or(Lifetime{}), soft = entry.soft.value_or(Lifetime{});
  const auto age = current.addtime_s ? static_cast<std::uint64_t>(now) - current.addtime_s : 0;
  out << "\tcreated: " << time_text(current.addtime_s)
      << "\tcurrent: " << time_text(static_cast<std::uint64_t>(now)) << "\n"
      << "\tdiff: " << age << "(s)\thard: " << hard.addtime_s << "(s)\tsoft: " << soft.addtime_s
      << "(s)\n"
      << "\tlast: " << time_text(current.usetime_s) << "\thard: " << hard.usetime_s
      << "(s)\tsoft: " << soft.usetime_s << "(s)\n"
      << "\tcurrent: " << current.bytes << "(bytes)\thard: " << hard.bytes
      << "(bytes)\tsoft: " << soft.bytes << "(bytes)\n"
      << "\tallocated: " << current.allocations << "\thard: " << hard.allocations
      << "\tsoft: " << soft.allocations << "\n";
}

void print_security_context(std::ostream& out, const Message& entry) {
  if (!entry.security_context) return;
  const auto& context = *entry.security_context;
  out << "\tsecurity context doi: " << unsigned{context.doi}
      << "\n\tsecurity context algorithm: " << unsigned{context.algorithm}
      << "\n\tsecurity context length: " << context.text.size() + 1
      << "\n\tsecurity context: " << context.text << "\n";
}

void print_path(std::ostream& out, const Message& entry) {
  if (!entry.saline_path) return;
  out << "\tpath: " << (entry.saline_path->path == pfkey::Path::card ? "card" : "software");
  if (!entry.saline_path->reason.empty()) out << " (" << entry.saline_path->reason << ")";
  out << "\n";
}

std::string upper_text(const Message& entry) {
  const std::uint8_t proto = entry.source->proto;
  if (proto == pfkey::kUpperAny) return "any";
  const std::uint16_t first = entry.source->endpoint.port,
                      second = entry.destination->endpoint.port;
  const bool selects = first != 0 || second != 0;
  if (proto == IPPROTO_ICMPV6 || proto == IPPROTO_ICMP)
    return std::string(proto == IPPROTO_ICMP ? "icmp" : "ipv6-icmp") +
           (selects ? format(" %u,%u", first, second) : "");
  if (proto == IPPROTO_GRE)
    return selects ? format("gre %u.%u.%u.%u", first >> 8, first & 255, second >> 8, second & 255)
                   : "gre";
  if (proto == IPPROTO_IPIP) return "ip4";
  const protoent* known = ::getprotobynumber(proto);
  return known ? known->p_name : std::to_string(proto);
}

// Protocols that keep something else in the ports show it with their name.
void print_range(std::ostream& out, const AddressExtension& address, std::uint8_t proto) {
  const bool has_ports = proto != IPPROTO_ICMPV6 && proto != IPPROTO_ICMP && proto != IPPROTO_GRE;
  const base::Prefix prefix{address.endpoint.address, address.prefixlen};
  out << prefix.to_string() << (has_ports ? port_text(address.endpoint.port) : "") << " ";
}

}  // namespace

void print_sa(std::ostream& out, const Message& entry, const DumpStyle& style) {
  static constexpr const char* kModes[] = {"any", "transport", "tunnel"};
  static constexpr const char* kStates[] = {"larval", "mature", "dying", "dead"};
  if (!entry.sa || !entry.source || !entry.destination) {
    out << "incomplete entry from the daemon\n";
    return;
  }
  const pfkey::Sa& sa = *entry.sa;
  const pfkey::Sa2 sa2 = entry.sa2.value_or(pfkey::Sa2{});
  print_host(out, entry.source, entry.nat_t_source_port, style.ports);
  print_host(out, entry.destination, entry.nat_t_destination_port, style.ports);
  out << "\n\t" << satype_text(entry) << " mode=" << kModes[static_cast<unsigned>(sa2.mode)]
      << format(" spi=%u(0x%08x) reqid=%u(0x%08x)\n", sa.spi, sa.spi, sa2.reqid, sa2.reqid);
  if (entry.nat_t_original)
    out << "\tNAT OA=" << entry.nat_t_original->endpoint.address.to_string() << "\n";
  print_algorithms(out, entry);
  out << format("\tseq=0x%08x replay=%u flags=0x%08x state=%s \n", sa2.sequence,
                entry.replay_window.value_or(sa.replay), sa.flags,
                kStates[static_cast<unsigned>(sa.state)]);
  print_lifetimes(out, entry, style.now);
  print_security_context(out, entry);
  out << "\tsadb_seq=" << entry.seq << " pid=" << entry.pid << " refcnt=0\n";
  print_path(out, entry);
}

void print_policy(std::ostream& out, const Message& entry, const DumpStyle& style) {
  if (!entry.policy || !entry.source || !entry.destination) {
    out << "incomplete entry from the daemon\n";
    return;
  }
  print_range(out, *entry.source, entry.source->proto);
  print_range(out, *entry.destination, entry.source->proto);
  out << upper_text(entry) << "\n\t" << libipsec::print_policy(*entry.policy, {"\n\t", style.ports})
      << "\n";
  if (entry.current)
    out << "\tcreated: " << time_text(entry.current->addtime_s)
        << "  lastused: " << time_text(entry.current->usetime_s) << "\n";
  if (entry.hard)
    out << "\tlifetime: " << entry.hard->addtime_s << "(s) validtime: " << entry.hard->usetime_s
        << "(s)\n";
  print_security_context(out, entry);
  out << "\tspid=" << entry.policy->id << " seq=" << entry.seq << " pid=" << entry.pid
      << "\n\trefcnt=0\n";
  print_path(out, entry);
}

}  // namespace saline::setkey
