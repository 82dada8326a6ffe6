#include "execution_request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "storage-kit/json.hpp"

namespace larder::programs {
namespace {

using storage::json::invalid_field;
using storage::json::Members;

constexpr std::size_t kMostArguments = 1000, kMostArgumentBytes = 128U << 10U;
constexpr std::size_t kMostVariables = 100, kMostVariableBytes = 32U << 10U;
constexpr std::size_t kMostInput = 1U << 20U;

void check_argument(const std::string& argument, const std::string& pointer) {
    if (argument.find('\0') == std::string::npos) return;
    throw invalid_field(pointer, "an argument cannot have a NUL in it");
}

// Names that say how programs are loaded, before their limits hold.
bool is_forbidden(std::string_view name) {
    return name.starts_with("LD_") || name == "GLIBC_TUNABLES" || name == "PATH" ||
           name == "HOME" || name == "TMPDIR" || name.starts_with("MALLOC_");
}

bool is_name(std::string_view name) {
    const auto is_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    return !name.empty() && name.size() <= 128 && is_letter(name.front()) &&
           std::all_of(name.begin(), name.end(),
                       [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

std::vector<std::string> environment_in(const Members& members) {
    std::vector<std::string> environment;
    const auto object = members.object("env");
    if (!object) return environment;
    std::size_t bytes = 0;
    for (storage::json::Walk entry(*object); entry.next();) {
        const std::string name = storage::json::unquoted(entry.name());
        const std::string pointer = "/env/" + name;
        if (!is_name(name) || is_forbidden(name)) {
            throw invalid_field(pointer, "this is no name that a program may be given");
        }
        if (!entry.value().starts_with('"')) throw invalid_field(pointer, "a value is a text");
        std::string value = storage::json::unquoted(entry.value());
        check_argument(value, pointer);
        bytes += name.size() + value.size();
        environment.push_back(fmt::format("{}={}", name, value));
    }
    if (environment.size() > kMostVariables || bytes > kMostVariableBytes) {
        throw invalid_field("/env", fmt::format("env has at most {} names and {} bytes",
                                                kMostVariables, kMostVariableBytes));
    }
    return environment;
}

}  // namespace

std::vector<std::string> arguments_in(const Members& members) {
    std::vector<std::string> arguments;
    const auto value = members.value("args");
    if (!value) return arguments;
    if (value->starts_with('"')) {
        auto words = split_words(storage::json::unquoted(*value));
        if (!words) throw invalid_field("/args", "a quote in args is not closed");
        arguments = std::move(*words);
    } else if (value->starts_with('[')) {
        for (storage::json::Walk item(*value); item.next();) {
            if (!item.value().starts_with('"')) {
                throw invalid_field(fmt::format("/args/{}", arguments.size()),
                                    "an argument is a text");
            }
            arguments.push_back(storage::json::unquoted(item.value()));
        }
    } else {
        throw invalid_field("/args", "args is an array of texts, or a text");
    }
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        check_argument(arguments[i], fmt::format("/args/{}", i));
        bytes += arguments[i].size();
    }
    if (arguments.size() > kMostArguments || bytes > kMostArgumentBytes) {
        throw invalid_field("/args", fmt::format("args has at most {} words and {} bytes",
                                                 kMostArguments, kMostArgumentBytes));
    }
    return arguments;
}

std::int64_t timeout_ms_in(const Members& members, const Settings& settings) {
    const auto seconds = members.number("timeout");
    const std::int64_t most = settings.duration("max_timeout").count();
    if (!seconds) return std::min<std::int64_t>(settings.duration("timeout").count(), most);
    if (*seconds <= 0 || *seconds * 1000 > static_cast<double>(most)) {
        throw std::move(
            invalid_field("/timeout", fmt::format("timeout is above 0 and at most {} seconds",
                                                  static_cast<double>(most) / 1000))
                .with("limit", fmt::format("{}", static_cast<double>(most) / 1000)));
    }
    return std::max<std::int64_t>(1, std::llround(*seconds * 1000));
}

ExecutionRequest plain_request(const Record& program, const Settings& settings) {
    if (program.main_file.empty() || program.language().empty()) {
        throw Error(Errc::conflict, "no-main-file",
                    "nothing in the project can be run; choose its main_file by PATCH");
    }
    ExecutionRequest request;
    request.program_id = program.id;
    request.main_file = program.main_file;
    request.language = program.language();
    request.network = program.network;
    request.timeout_ms = std::min<std::int64_t>(settings.duration("timeout").count(),
                                                settings.duration("max_timeout").count());
    return request;
}

ExecutionRequest execution_request_of(const Record& program, std::string_view body,
                                      const Settings& settings) {
    const bool is_empty = body.find_first_not_of(" \t\r\n") == std::string_view::npos;
    const Members members = Members::of_body(is_empty ? std::string_view("{}") : body);
    std::vector<std::string> arguments = arguments_in(members);
    std::string input = members.text("stdin", kMostInput).value_or("");
    std::vector<std::string> environment = environment_in(members);
    const std::int64_t timeout_ms = timeout_ms_in(members, settings);
    members.end();
    ExecutionRequest request = plain_request(program, settings);
    request.arguments = std::move(arguments);
    request.input = std::move(input);
    request.environment = std::move(environment);
    request.timeout_ms = timeout_ms;
    return request;
}

}  // namespace larder::programs
