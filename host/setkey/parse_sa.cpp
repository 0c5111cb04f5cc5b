// Statements about SAs: add, update, get, delete, getspi, deleteall, flush, dump.
#include <algorithm>
#include <cctype>

#include "host/crypto/algorithms.hpp"
#include "host/setkey/parser.hpp"

namespace saline::setkey {

using pfkey::MessageType;
using pfkey::SaType;

namespace {

constexpr std::uint16_t kNatTPort = 4500;  // RFC 3948

bool is_address(std::string_view word) { return word.find_first_of(".:") != word.npos; }

}  // namespace

void Parser::sa_statement(Statement& out, MessageType type) {
  pfkey::Message message(type);
  message.sa.emplace().flags = pfkey::kSaFlagCyclicSequence;
  message.sa2.emplace();
  flags();
  addresses(message, Form::host);
  const Protocol kind = protocol("a protocol");
  message.satype = kind.satype;
  if (kind.old_format) message.sa->flags |= pfkey::kSaFlagOld;
  if (kind.nat_t) nat_t(message);
  message.sa->spi = static_cast<std::uint32_t>(number("SPI", 0xffffffff));
  if (message.sa->spi == 0) fail_before("SPI 0 is reserved");
  extensions(message);
  if (type == MessageType::add || type == MessageType::update) {
    algorithms(message);
  } else if (type == MessageType::getspi) {
    message.spi_range = pfkey::SpiRange{message.sa->spi, message.sa->spi};
    message.sa.reset();
  } else {
    message.sa2.reset();
  }
  out.requests.push_back({std::move(message)});
}

void Parser::deleteall(Statement& out) {
  pfkey::Message message(MessageType::del);
  flags();
  addresses(message, Form::host);
  message.satype = protocol("a protocol").satype;
  out.requests.push_back({std::move(message)});
}

void Parser::whole_table(Statement& out, MessageType type) {
  pfkey::Message message(type);
  if (!at_statement_end()) message.satype = protocol("a protocol").satype;
  out.requests.push_back({std::move(message)});
}

// RFC 3948: the ports stand with the addresses, the peer's address before translation may follow.
void Parser::nat_t(pfkey::Message& message) {
  const auto port = [](const pfkey::AddressExtension& address) {
    return address.endpoint.port ? address.endpoint.port : kNatTPort;
  };
  message.nat_t_type = pfkey::kNatTEspInUdp;
  message.nat_t_source_port = port(*message.source);
  message.nat_t_destination_port = port(*message.destination);
  if (!at_statement_end() && is_address(peek()))
    message.nat_t_original = address("original address", Form::host);
}

void Parser::extensions(pfkey::Message& message) {
  Limits limits;
  while (at_option() && peek() != "-E" && peek() != "-A" && peek() != "-C") {
    const std::string option(take("option").text);
    if (option == "-m") {
      const auto mode = take("mode").text;
      if (mode != "any" && mode != "transport" && mode != "tunnel")
        fail_before("mode must be transport, tunnel or any, not " + shown(mode));
      message.sa2->mode = mode == "any"         ? pfkey::Mode::any
                          : mode == "transport" ? pfkey::Mode::transport
                                                : pfkey::Mode::tunnel;
    } else if (option == "-u") {
      message.sa2->reqid = static_cast<std::uint32_t>(number("reqid", 0xffffffff));
    } else if (option == "-r") {
      replay(message);
    } else if (option == "-esn") {
      message.sa->flags |= pfkey::kSaFlagEsn;
    } else if (option == "-f") {
      flag_word(message);
    } else if (option == "-lh") {
      limits.hard_seconds = number("hard lifetime", UINT64_MAX);
    } else if (option == "-ls") {
      limits.soft_seconds = number("soft lifetime", UINT64_MAX);
    } else if (option == "-bh") {
      limits.hard_bytes = number("hard byte limit", UINT64_MAX);
    } else if (option == "-bs") {
      limits.soft_bytes = number("soft byte limit", UINT64_MAX);
    } else if (option == "-ctx") {
      security_context(message);
    } else {
      fail_before("unknown option " + shown(option));
    }
  }
  lifetimes(message, limits);
}

// Without a soft limit it is 80 % of the hard one, as libipsec has it.
void Parser::lifetimes(pfkey::Message& message, const Limits& limits) const {
  if (limits.hard_seconds + limits.soft_seconds + limits.hard_bytes + limits.soft_bytes == 0)
    return;
  const auto soft_of = [&](std::uint64_t soft, std::uint64_t hard) {
    if (hard != 0 && soft > hard) fail_before("soft lifetime above the hard one");
    return soft != 0 ? soft : hard / 5 * 4 + hard % 5 * 4 / 5;
  };
  message.hard = pfkey::Lifetime{0, limits.hard_bytes, limits.hard_seconds, 0};
  message.soft = pfkey::Lifetime{0, soft_of(limits.soft_bytes, limits.hard_bytes),
                                 soft_of(limits.soft_seconds, limits.hard_seconds), 0};
}

void Parser::flag_word(pfkey::Message& message) {
  const auto word = take("flag").text;
  if (word == "random-pad")
    message.sa->flags |= pfkey::kSaFlagRandomPad;
  else if (word == "zero-pad")
    message.sa->flags |= pfkey::kSaFlagZeroPad;
  else if (word == "ah-align8")
    message.sa->flags |= pfkey::kSaFlagAhAlign8;
  else if (word == "nocyclic-seq")
    message.sa->flags &= ~pfkey::kSaFlagCyclicSequence;
  else if (word != "seq-pad")
    fail_before("flag must be random-pad, zero-pad, seq-pad, nocyclic-seq or ah-align8, not " +
                shown(word));
}

// The field of the SA has eight bits; a larger window goes into an extension of its own.
void Parser::replay(pfkey::Message& message) {
  const auto window = static_cast<std::uint32_t>(number("replay window", 0xffffffff));
  message.sa->replay = static_cast<std::uint8_t>(std::min<std::uint32_t>(window, 255));
  if (window > 255) message.replay_window = window;
}

void Parser::security_context(pfkey::Message& message) {
  pfkey::SecurityContext context;
  context.doi = static_cast<std::uint8_t>(number("doi of the security context", 255));
  context.algorithm = static_cast<std::uint8_t>(number("algorithm of the security context", 255));
  context.text = take("security context").text;
  message.security_context = std::move(context);
}

void Parser::algorithms(pfkey::Message& message) {
  const bool encrypts = accept("-E");
  if (encrypts) {
    if (message.satype != SaType::esp) fail_before("-E is for esp");
    encryption(message);
  }
  if (accept("-A")) {
    if (message.satype == SaType::ipcomp) fail_before("-A is for esp and ah");
    integrity(message);
  } else if (message.satype == SaType::ah) {
    fail("ah needs -A");
  }
  if (message.satype == SaType::esp && !encrypts)
    fail("esp needs -E; without encryption it is -E null");
  if (accept("-C")) {
    if (message.satype != SaType::ipcomp) fail_before("-C is for ipcomp");
    compression(message);
  } else if (message.satype == SaType::ipcomp) {
    fail("ipcomp needs -C");
  }
  const bool raw_cpi = (message.sa->flags & pfkey::kSaFlagRawCpi) != 0;
  if (message.satype == SaType::ipcomp && message.sa->spi > 0xffff && !raw_cpi)
    fail_before("a CPI is a number of 1 to 65535");
}

namespace {

std::string key_sizes(const crypto::Algorithm& algorithm) {
  std::string sizes;
  if (algorithm.key_bits_step == 8)
    return std::to_string(algorithm.key_bits_min) + " to " + std::to_string(algorithm.key_bits_max);
  for (unsigned bits = algorithm.key_bits_min; bits <= algorithm.key_bits_max;
       bits += std::max<unsigned>(algorithm.key_bits_step, 8))
    if (algorithm.key_bits_valid(bits)) sizes += (sizes.empty() ? "" : ", ") + std::to_string(bits);
  return sizes;
}

std::string wrong_key(const crypto::Algorithm& algorithm, unsigned bits) {
  return std::string(algorithm.name) + " takes a key of " + key_sizes(algorithm) + " bits" +
         (algorithm.salt_bytes ? ", the salt included" : "") + "; this one has " +
         std::to_string(bits);
}

}  // namespace

void Parser::encryption(pfkey::Message& message) {
  const auto name = take("encryption algorithm").text;
  const auto* algorithm = crypto::find_encryption(name);
  if (!algorithm) fail_before("unknown encryption algorithm " + shown(name));
  message.sa->encrypt = algorithm->pfkey_id;
  message.sa->flags |= algorithm->pfkey_flags;
  message.key_encrypt = key(name, algorithm->key_bits_max != 0);
  if (!algorithm->key_bits_valid(message.key_encrypt->bits))
    fail_before(wrong_key(*algorithm, message.key_encrypt->bits));
  if (algorithm->is_aead() && peek() == "-A")
    fail(std::string(name) + " authenticates by itself: no -A with it");
}

void Parser::integrity(pfkey::Message& message) {
  const auto name = take("authentication algorithm").text;
  const auto* algorithm = crypto::find_integrity(name);
  if (!algorithm) fail_before("unknown authentication algorithm " + shown(name));
  message.sa->auth = algorithm->pfkey_id;
  if (algorithm->iv_bytes != 0 && message.satype != SaType::ah)
    fail_before(std::string(algorithm->name) + " is for ah; in esp it is -E aes-gmac (RFC 4543)");
  message.key_auth = key(name, algorithm->key_bits_max != 0);
  if (!algorithm->key_bits_valid(message.key_auth->bits))
    fail_before(wrong_key(*algorithm, message.key_auth->bits));
}

void Parser::compression(pfkey::Message& message) {
  const auto name = take("compression algorithm").text;
  if (name != "oui" && name != "deflate" && name != "lzs")
    fail_before("compression must be oui, deflate or lzs, not " + shown(name));
  message.sa->encrypt = name == "oui" ? 1 : name == "deflate" ? 2 : 3;
  if (accept("-R")) message.sa->flags |= pfkey::kSaFlagRawCpi;
}

// Never shown in an error, not even in part.
pfkey::Key Parser::key(std::string_view algorithm, bool expected) {
  if (!expected) return {};
  if (at_statement_end() || at_option()) fail(std::string(algorithm) + " needs a key");
  const Token& token = take("key");
  pfkey::Bytes bytes;
  if (token.quoted) {
    bytes.assign(token.text.begin(), token.text.end());
  } else {
    const auto is_hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
    const std::string_view digits = token.text.substr(std::min<std::size_t>(2, token.text.size()));
    if (!token.text.starts_with("0x") || digits.empty() || !std::ranges::all_of(digits, is_hex))
      fail_before("a key is \"a string\" or 0x and hexadecimal digits");
    bytes.reserve(digits.size() / 2 + 1);
    const auto value = [](char c) {
      return static_cast<std::uint8_t>(std::isdigit(static_cast<unsigned char>(c))
                                           ? c - '0'
                                           : std::tolower(static_cast<unsigned char>(c)) - 'a' +
                                                 10);
    };
    if (digits.size() % 2) bytes.push_back(value(digits[0]));
    for (std::size_t i = digits.size() % 2; i < digits.size(); i += 2)
      bytes.push_back(static_cast<std::uint8_t>(value(digits[i]) << 4 | value(digits[i + 1])));
  }
  if (bytes.size() > 0xffff / 8) fail_before("the key is far too long");
  return {static_cast<std::uint16_t>(bytes.size() * 8), base::Secret(bytes)};
}

}  // namespace saline::setkey
