#include "plugin_host/choices.hpp"

#include <fmt/format.h>

#include <utility>

#include "larder/error.hpp"
#include "larder/time.hpp"
#include "storage-kit/atomic_file.hpp"
#include "storage-kit/json.hpp"

namespace larder::plugin_host {
namespace {

namespace json = storage::json;

constexpr std::string_view kVersion = "1";

[[noreturn]] void refuse(const std::string& path, std::string_view what) {
    throw Error(
        Errc::corrupt, "choices-unreadable",
        fmt::format("{}: {}; mend it, or remove it to go by the configuration alone", path, what));
}

Choice choice_of(std::string_view text, const std::string& path) {
    Choice choice;
    bool told = false;
    json::Walk members(text);
    while (members.next()) {
        const std::string name = json::unquoted(members.name());
        if (name == "enabled" && (members.value() == "true" || members.value() == "false")) {
            choice.enabled = members.value() == "true";
            told = true;
        } else if (name == "chosen_at" && members.value().starts_with('"')) {
            choice.chosen_at = json::unquoted(members.value());
        } else {
            refuse(path, fmt::format("expected enabled and chosen_at, got {}", members.name()));
        }
    }
    if (!told) refuse(path, "expected {\"enabled\": true or false} for each plugin");
    return choice;
}

std::map<std::string, Choice> parse(const std::string& text, const std::string& path) {
    try {
        json::check(text);
    } catch (const json::InvalidJson& error) {
        refuse(path, fmt::format("byte {}: {}", error.offset(), error.what()));
    }
    std::map<std::string, Choice> chosen;
    std::string version;
    json::Walk members(text);
    while (members.next()) {
        const std::string name = json::unquoted(members.name());
        if (name == "version") version = members.value();
        if (name != "plugins") continue;
        json::Walk plugins(members.value());
        while (plugins.next()) {
            chosen[json::unquoted(plugins.name())] = choice_of(plugins.value(), path);
        }
    }
    if (version == kVersion) return chosen;
    refuse(path, fmt::format("its version is '{}' and this daemon knows {}", version, kVersion));
}

std::string text_of(const std::map<std::string, Choice>& chosen) {
    std::string text = fmt::format("{{\"version\": {}, \"plugins\": {{", kVersion);
    const char* between = "\n";
    for (const auto& [plugin, choice] : chosen) {
        text += fmt::format("{}  {}: {{\"enabled\": {}, \"chosen_at\": {}}}",
                            std::exchange(between, ",\n"), json::quoted(plugin), choice.enabled,
                            json::quoted(choice.chosen_at));
    }
    return text + (chosen.empty() ? "}}\n" : "\n}}\n");
}

}  // namespace

Choices::Choices(storage::FileSystem& files, std::string path)
    : files_(files), path_(std::move(path)) {
    if (files_.exists(path_)) chosen_ = parse(storage::read_file(files_, path_), path_);
}

std::optional<Choice> Choices::of(const std::string& plugin) const {
    const std::scoped_lock lock(mutex_);
    const auto found = chosen_.find(plugin);
    return found != chosen_.end() ? std::optional(found->second) : std::nullopt;
}

void Choices::take_over() {
    std::map<std::string, Choice> fresh;
    if (files_.exists(path_)) fresh = parse(storage::read_file(files_, path_), path_);
    const std::scoped_lock lock(mutex_);
    chosen_ = std::move(fresh);
}

void Choices::check(storage::FileSystem& files, const std::string& path) {
    parse(storage::read_file(files, path), path);
}

void Choices::choose(const std::string& plugin, bool enabled) {
    const std::scoped_lock one_at_a_time(changing_);
    auto fresh = chosen();
    fresh[plugin] = {enabled, rfc3339(unix_now_ms())};
    store(std::move(fresh));
}

void Choices::forget(const std::string& plugin) {
    const std::scoped_lock one_at_a_time(changing_);
    auto fresh = chosen();
    if (fresh.erase(plugin) > 0) store(std::move(fresh));
}

std::map<std::string, Choice> Choices::chosen() const {
    const std::scoped_lock lock(mutex_);
    return chosen_;
}

void Choices::store(std::map<std::string, Choice> fresh) {
    try {
        storage::write_atomically(files_, path_, text_of(fresh));
    } catch (const std::system_error& error) {
        const bool full = storage::is_no_space(error);
        throw Error(full ? Errc::no_space : Errc::io_failed, full ? "disk-full" : "storage-failed",
                    "the choice could not be written, so nothing was changed")
            .because(fmt::format("{}: {}", path_, error.what()));
    }
    const std::scoped_lock lock(mutex_);
    chosen_ = std::move(fresh);
}

}  // namespace larder::plugin_host
