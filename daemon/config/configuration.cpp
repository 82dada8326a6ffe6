// Sections, what is shown of them, and the difference of two configurations. Not the reading of
// files.
#include "config/configuration.hpp"

#include <Poco/Util/MapConfiguration.h>
#include <fmt/format.h>

#include <algorithm>

namespace larder::config {

namespace {

std::string masked(const Section::Item& item) {
    if (!item.setting.secret || item.value.text.empty()) return item.value.text;
    return "********";
}

std::string_view word_of(Kind kind) noexcept {
    switch (kind) {
        case Kind::text: return "text";
        case Kind::integer: return "integer";
        case Kind::flag: return "flag";
        case Kind::bytes: return "bytes";
        case Kind::duration: return "duration";
        case Kind::path: return "path";
        case Kind::choice: return "choice";
    }
    return "?";
}

}  // namespace

std::string_view kind_word(Origin::Kind kind) noexcept {
    switch (kind) {
        case Origin::Kind::fallback: return "default";
        case Origin::Kind::file: return "file";
        case Origin::Kind::environment: return "environment";
        case Origin::Kind::command_line: return "command line";
    }
    return "?";
}

std::string to_string(const Origin& origin) {
    if (origin.kind == Origin::Kind::file) return fmt::format("{}:{}", origin.place, origin.line);
    if (origin.kind == Origin::Kind::environment) return "environment " + origin.place;
    return std::string(kind_word(origin.kind));
}

Section::Section(std::string name, std::vector<Item> items)
    : name_(std::move(name)), items_(std::move(items)) {}

const Section::Item* Section::find(std::string_view key) const noexcept {
    const auto found = std::ranges::find_if(
        items_, [key](const Item& item) { return std::string_view(item.setting.key) == key; });
    return found == items_.end() ? nullptr : &*found;
}

const Section::Item& Section::item(std::string_view key) const {
    if (const Item* const found = find(key)) return *found;
    throw Error(Errc::internal, "undeclared-setting",
                fmt::format("setting '{}.{}' is read but not declared", name_, key));
}

const Section::Item& Section::item(std::string_view key, Kind kind) const {
    const Item& found = item(key);
    if (found.value.kind == kind) return found;
    throw Error(Errc::internal, "undeclared-setting",
                fmt::format("setting '{}.{}' is declared as {} but read as {}", name_, key,
                            word_of(found.value.kind), word_of(kind)));
}

std::string Section::text(std::string_view key) const { return item(key).value.text; }

std::int64_t Section::integer(std::string_view key) const {
    return item(key, Kind::integer).value.number;
}

bool Section::flag(std::string_view key) const { return item(key, Kind::flag).value.number != 0; }

std::uint64_t Section::bytes(std::string_view key) const {
    return static_cast<std::uint64_t>(item(key, Kind::bytes).value.number);
}

std::chrono::milliseconds Section::duration(std::string_view key) const {
    return std::chrono::milliseconds(item(key, Kind::duration).value.number);
}

std::vector<std::string> Section::list(std::string_view key) const { return split_list(text(key)); }

void LiveSection::replace(std::shared_ptr<const Section> section) {
    const std::lock_guard lock(mutex_);
    section_.swap(section);
}

std::shared_ptr<const Section> LiveSection::now() const {
    const std::lock_guard lock(mutex_);
    return section_;
}

Configuration::Configuration(std::vector<std::shared_ptr<const Section>> sections)
    : sections_(std::move(sections)) {}

std::shared_ptr<const Section> Configuration::find(std::string_view name) const noexcept {
    const auto found = std::ranges::find_if(
        sections_, [name](const auto& section) { return section->name() == name; });
    return found == sections_.end() ? nullptr : *found;
}

std::shared_ptr<const Section> Configuration::section(std::string_view name) const {
    if (std::shared_ptr<const Section> found = find(name)) return found;
    throw Error(Errc::internal, "undeclared-setting",
                fmt::format("section '{}' is read but not declared", name));
}

std::vector<Shown> Configuration::entries() const {
    std::vector<Shown> entries;
    for (const auto& section : sections_) {
        for (const Section::Item& item : section->items()) {
            const Setting& setting = item.setting;
            entries.push_back({section->name(), setting.key, masked(item), setting.type,
                               setting.fallback, setting.says, item.origin, setting.live,
                               setting.secret});
        }
    }
    return entries;
}

void Configuration::fill(Poco::Util::MapConfiguration& into) const {
    for (const auto& section : sections_) {
        for (const Section::Item& item : section->items()) {
            into.setString(fmt::format("{}.{}", section->name(), item.setting.key),
                           item.value.text);
        }
    }
}

Configuration Configuration::with_section(const Configuration& other, std::string_view name) const {
    std::vector<std::shared_ptr<const Section>> sections;
    for (const auto& section : sections_) {
        const std::shared_ptr<const Section> theirs =
            section->name() == name ? other.find(name) : nullptr;
        sections.push_back(theirs ? theirs : section);
    }
    if (!find(name)) sections.push_back(other.section(name));
    return Configuration(std::move(sections));
}

Changes changes(const Configuration& now, const Configuration& fresh) {
    Changes result;
    std::vector<std::shared_ptr<const Section>> sections;
    for (const auto& section : fresh.sections()) {
        const std::shared_ptr<const Section> before = now.find(section->name());
        if (!before) {  // a plugin that was not there yet: nothing of it is in force elsewhere
            sections.push_back(section);
            continue;
        }
        std::vector<Section::Item> items;
        for (const Section::Item& item : section->items()) {
            const Section::Item* const old = before->find(item.setting.key);
            const bool differs = old != nullptr && old->value.text != item.value.text;
            if (differs) {
                const Change change{section->name(), item.setting.key, masked(*old), masked(item),
                                    item.setting.live};
                (item.setting.live ? result.applied : result.needs_restart).push_back(change);
            }
            items.push_back(differs && !item.setting.live ? *old : item);
        }
        sections.push_back(std::make_shared<const Section>(section->name(), std::move(items)));
    }
    result.in_force = Configuration(std::move(sections));
    return result;
}

}  // namespace larder::config
