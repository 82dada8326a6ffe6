// Texts that are secrets and can be told from others by how they begin, so that whoever logs what a
// client sent hides them wherever they stand. Not how they are made or kept.
#pragma once

#include <string_view>

namespace larder {

// What the id of a session begins with; hexadecimal digits follow.
inline constexpr std::string_view kSessionIdBegins = "larder_session_";

}  // namespace larder
