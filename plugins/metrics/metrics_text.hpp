// Texts on their way into databases and answers. Not their meaning.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "larder/error.hpp"
#include "larder/http.hpp"
#include "storage-kit/answers.hpp"

namespace larder::metrics {

// UTF-8 without NUL, which is what SQLite's text must be: other bytes become U+FFFD. Cut to
// `most` bytes at a character's end.
std::string printable(std::string_view text, std::size_t most = 64U << 10U);

using storage::json_answer;

// A JSON string, or null for an empty text.
std::string text_or_null(std::string_view text);
// A database's time as RFC 3339 in quotes; null for an empty one. What is no time stays a text.
std::string time_or_null(std::string_view sql_time);

std::string joined(const std::vector<std::string>& items);  // by commas
std::int64_t number_of(std::string_view position);          // of a cursor; 0 for an empty one

// A name or value of a query, %-escapes and '+' undone; what is malformed stays. For names that the
// host cannot know.
std::string query_text(std::string_view raw);

// ---- query parameters; all throw Error{bad_request, "invalid-parameter"}

// `hours` back from now: above 0, up to ten years, 24 where it is not given.
double hours_of(const Request& request);
// `step` in whole seconds; what is not given is such that `hours` have about 200 points. No more
// than 2,000 points.
std::int64_t step_of(const Request& request, double hours);

}  // namespace larder::metrics
