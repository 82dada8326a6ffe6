// The configuration in force: every declared setting with its value and where it came from. Not the
// applying of it: a reload compares two of these and tells what changed.
//
// loader.hpp makes one. Contents: Origin, Shown · Section, LiveSection · Configuration · Changes.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/value.hpp"
#include "larder/host.hpp"

namespace Poco::Util {
class MapConfiguration;
}

namespace larder::config {

struct Origin {
    enum class Kind : std::uint8_t { fallback = 1, file, environment, command_line };
    Kind kind = Kind::fallback;
    std::string place;  // the file's path; the variable's name; else empty
    unsigned line = 0;  // of the file
};

// "default", "/etc/larder/larder.ini:12", "environment LARDER_HTTP_LISTEN", "command line". [any]
std::string to_string(const Origin& origin);
std::string_view kind_word(
    Origin::Kind kind) noexcept;  // "default" "file" "environment" "command line"

// A setting as it may be shown to an admin: secrets are masked.
struct Shown {
    std::string section, key, value, type, fallback, says;
    Origin origin;
    bool live, secret;
};

// One section's settings. Immutable. Typed reads throw Error{internal} for a key that was not
// declared or was declared with another type; text() reads any type. [any]
class Section final : public Settings {
public:
    struct Item {
        Setting setting;  // its texts live as long as the declaration
        Value value;
        Origin origin;
    };

    Section(std::string name, std::vector<Item> items);

    std::string text(std::string_view key) const override;
    std::int64_t integer(std::string_view key) const override;
    bool flag(std::string_view key) const override;
    std::uint64_t bytes(std::string_view key) const override;
    std::chrono::milliseconds duration(std::string_view key) const override;
    std::vector<std::string> list(std::string_view key) const;  // split_list(text(key))

    const std::string& name() const noexcept { return name_; }
    const std::vector<Item>& items() const noexcept { return items_; }
    const Item* find(std::string_view key) const noexcept;

private:
    const Item& item(std::string_view key) const;
    const Item& item(std::string_view key, Kind kind) const;

    std::string name_;
    std::vector<Item> items_;
};

// One section at a place that does not move while the section is replaced, for what keeps a
// `const Settings&` over reloads. [any]
class LiveSection final : public Settings {
public:
    explicit LiveSection(std::shared_ptr<const Section> section) : section_(std::move(section)) {}
    void replace(std::shared_ptr<const Section> section);
    std::shared_ptr<const Section> now() const;

    std::string text(std::string_view key) const override { return now()->text(key); }
    std::int64_t integer(std::string_view key) const override { return now()->integer(key); }
    bool flag(std::string_view key) const override { return now()->flag(key); }
    std::uint64_t bytes(std::string_view key) const override { return now()->bytes(key); }
    std::chrono::milliseconds duration(std::string_view key) const override {
        return now()->duration(key);
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const Section> section_;  // guarded by mutex_
};

// Immutable; copies share their sections. [any]
class Configuration {
public:
    Configuration() = default;
    explicit Configuration(std::vector<std::shared_ptr<const Section>> sections);

    // Throws Error{internal} for a section that was not declared.
    std::shared_ptr<const Section> section(std::string_view name) const;
    std::shared_ptr<const Section> find(std::string_view name) const noexcept;  // null for none
    const std::vector<std::shared_ptr<const Section>>& sections() const noexcept {
        return sections_;
    }

    std::vector<Shown> entries() const;  // for GET /api/config, in the order of declaration

    // Sets "section.key" for each setting. Secrets go in unmasked; Poco expands "${…}" in what is
    // read with getString().
    void fill(Poco::Util::MapConfiguration& into) const;

    // This one, with section `name` as it stands in `other`: a plugin that starts anew takes all of
    // its settings, not the live ones alone.
    Configuration with_section(const Configuration& other, std::string_view name) const;

private:
    std::vector<std::shared_ptr<const Section>> sections_;
};

// One setting that differs; values as they may be shown.
struct Change {
    std::string section, key, before, after;
    bool live;
};

// What a reload does. `in_force` has the fresh values of live settings and the old values of the
// others, which a later reload will therefore list again, until the restart.
struct Changes {
    std::vector<Change> applied, needs_restart;
    Configuration in_force;
};
Changes changes(const Configuration& now, const Configuration& fresh);

}  // namespace larder::config
