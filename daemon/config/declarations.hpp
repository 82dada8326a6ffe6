// The settings of the daemon's own sections, declared as data: type, default, range, sentence. A
// plugin's settings are not here; they stand in its entry.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "larder/plugin.hpp"

namespace larder::config {

// A section and what may stand in it. `settings` must live as long as what was bound to it:
// literals and plugins' entries live to the end of the process.
struct Declaration {
    std::string section;
    std::span<const Setting> settings = {};
    // Of a plugin: its section stands in plugins.d/<section>.ini, and a flag `enabled` is added
    // unless it is declared.
    bool plugin = true;
    bool enabled_by_default = true;
    // False for a plugin whose file was refused, so that its declarations are unknown: its .ini is
    // then read for syntax and `enabled` alone.
    bool known = true;
};

// [daemon], [http], [auth] and [alerts], in that order. [any]
std::span<const Declaration> own_declarations();

// Throws Error{internal} unless the section's name and every setting are fit to be bound, and no
// key is declared twice. The plugin host calls it before it takes a plugin. [any]
void check_declaration(const Declaration& declaration);

// Of a plugin's section: the flag it has without declaring it. [any]
const Setting& enabled_setting(bool enabled_by_default) noexcept;

// The keys that a declaration takes, the implicit `enabled` of plugins included. [any]
std::vector<std::string> keys_of(const Declaration& declaration);

// The environment variable of a setting: LARDER_HTTP_LISTEN. [any]
std::string variable_of(std::string_view section, std::string_view key);

// The commented .ini of one plugin: each setting with its default, its sentence, type and range.
// [any]
std::string etc_text(const Declaration& declaration, std::string_view summary);

// The same of larder.ini, from own_declarations(). [any]
std::string own_etc_text();

}  // namespace larder::config
