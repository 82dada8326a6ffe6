// The commands about keys: get, set, delete, list. Values are printed as the daemon keeps them,
// never read into a model that could change a number.
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <iterator>

#include "command.hpp"
#include "kv_transfer.hpp"
#include "storage-kit/json.hpp"
#include "table.hpp"
#include "watch.hpp"

namespace larder::ctl {
namespace {

using storage::json::Walk;

std::string path_of(const Context& context) {
    const auto& arguments = context.words.arguments;
    return fmt::format("/api/kv/{}/{}", escaped(arguments[0]), escaped(arguments[1]));
}

void print_line(const std::string& text) {
    std::cout << text << (text.ends_with('\n') ? "" : "\n");
}

// If-Match of --if-match 7, which may stand in quotes already.
void add_condition(const Context& context, Fields& fields) {
    if (const auto revision = context.words.value("--if-match")) {
        fields.emplace_back(
            "If-Match", revision->starts_with('"') ? *revision : fmt::format("\"{}\"", *revision));
    }
}

int get(Context& context) {
    std::string target = path_of(context);
    if (context.words.flag("--meta")) {
        target += "?meta=true";
    } else if (const auto pointer = context.words.value("--pointer")) {
        target += "?pointer=" + escaped(*pointer);
    }
    print_line(context.client().demand("GET", target).body);
    return kOk;
}

std::string value_of(const Context& context) {
    const std::string& given = context.words.arguments[2];
    if (given != "-") return given;
    return {std::istreambuf_iterator<char>(std::cin), {}};
}

int set(Context& context) {
    Fields fields;
    add_condition(context, fields);
    if (context.words.flag("--if-new")) fields.emplace_back("If-None-Match", "*");
    if (const auto metadata = context.words.value("--metadata")) {
        fields.emplace_back("Larder-Metadata", *metadata);
    }
    std::string target = path_of(context);
    if (const auto ttl = context.words.value("--ttl")) target += "?ttl=" + escaped(*ttl);
    std::string value = value_of(context);
    if (context.words.flag("--text")) value = storage::json::quoted(value);
    try {
        storage::json::check(value);
    } catch (const storage::json::InvalidJson& error) {
        throw UsageError(
            fmt::format("the value is no JSON: {} at byte {}; --text sends it as a text",
                        error.what(), error.offset()));
    }
    const Answer answer = context.client().demand("PUT", target, value, fields);
    if (context.json) {
        print_line(answer.body);
    } else {
        std::cout << (answer.status == 201 ? "set, new, " : "set, ") << "revision "
                  << answer.header("etag") << '\n';
    }
    return kOk;
}

int remove(Context& context) {
    Fields fields;
    add_condition(context, fields);
    context.client().demand("DELETE", path_of(context), {}, fields);
    if (!context.json) std::cout << "deleted\n";
    return kOk;
}

int list_buckets(Context& context) {
    const Client client = context.client();
    if (context.json) {
        print_line(client.demand("GET", "/api/kv?limit=1000").body);
        return kOk;
    }
    Table table({"BUCKET", "KEYS", "BYTES", "REVISION", "FILE"});
    for (const auto& bucket : client.items("/api/kv")) {
        std::vector<std::string> row;
        for (const char* member : {"bucket", "keys", "bytes", "revision", "file"}) {
            row.push_back(bucket->isNull(member) ? "-" : bucket->get(member).toString());
        }
        table.add(std::move(row));
    }
    table.print();
    return kOk;
}

// Prints one page and returns where the next begins; empty at the end.
std::string print_page(const std::string& body) {
    std::string next;
    Walk page(body);
    while (page.next()) {
        if (page.name() == R"("next")" && page.value().starts_with('"')) {
            next = storage::json::unquoted(page.value());
        }
        if (page.name() != R"("items")") continue;
        Walk items(page.value());
        while (items.next()) {
            std::string key, value;
            Walk item(items.value());
            while (item.next()) {
                if (item.name() == R"("key")") key = storage::json::unquoted(item.value());
                if (item.name() == R"("value")") value = item.value();
            }
            std::cout << printable(key) << (value.empty() ? "" : "\t") << value << '\n';
        }
    }
    return next;
}

int list(Context& context) {
    if (context.words.arguments.empty()) return list_buckets(context);
    std::string target = "/api/kv/" + escaped(context.words.arguments[0]) + "?limit=1000";
    if (context.words.flag("--values")) target += "&values=true";
    for (const char* name : {"prefix", "where"}) {
        const auto value = context.words.value(std::string("--") + name);
        if (value) target += fmt::format("&{}={}", name, escaped(*value));
    }
    const Client client = context.client();
    std::string cursor;
    do {
        const std::string page =
            client.demand("GET", target + (cursor.empty() ? "" : "&cursor=" + escaped(cursor)))
                .body;
        try {
            storage::json::check(page);
        } catch (const storage::json::InvalidJson& error) {
            throw Unreachable(fmt::format("larderd's answer is no JSON: {}", error.what()));
        }
        if (context.json) {
            print_line(page);
            return kOk;
        }
        cursor = print_page(page);
    } while (!cursor.empty());
    return kOk;
}

}  // namespace

std::vector<Command> kv_commands() {
    const Option if_match{"--if-match", "REVISION", "only if the key still has this revision"};
    return {
        {"kv get",
         "BUCKET KEY",
         2,
         2,
         "Print a value",
         {{"--pointer", "POINTER", "a part of it (RFC 6901)"}, {"--meta", "", "its whole record"}},
         get},
        {"kv set",
         "BUCKET KEY JSON|-",
         3,
         3,
         "Set a value; - reads it from standard input",
         {{"--text", "", "the value is a text, not JSON"},
          {"--ttl", "SECONDS|keep", "it ends after so long"},
          {"--metadata", "JSON", "an object that stands in the record"},
          {"--if-new", "", "only if there is no such key"},
          if_match},
         set},
        {"kv delete", "BUCKET KEY", 2, 2, "Delete a key", {if_match}, remove},
        {"kv list",
         "[BUCKET]",
         0,
         1,
         "List the buckets, or a bucket's keys",
         {{"--prefix", "TEXT", "only keys that begin with it"},
          {"--where", "CONDITION", "only values of which it holds: /size>10"},
          {"--values", "", "each key's value behind a tab"}},
         list},
        {"kv watch",
         "BUCKET",
         1,
         1,
         "Print changes as they come, over lost connections too",
         {{"--prefix", "TEXT", "only keys that begin with it"},
          {"--since", "EPOCH-REVISION", "begin behind this change"},
          {"--count", "N", "end after so many changes"}},
         watch},
        {"kv import",
         "BUCKET FILE|-",
         2,
         2,
         "Set every key of a JSON object, a thousand at once",
         {},
         import_bucket},
        {"kv export",
         "BUCKET [FILE]",
         1,
         2,
         "Write all keys and values as one JSON object",
         {},
         export_bucket},
    };
}

}  // namespace larder::ctl
