#include "plugin_host/swap.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "larder/error.hpp"
#include "storage-kit/atomic_file.hpp"
#include "storage-kit/json.hpp"

namespace larder::plugin_host {
namespace {

namespace json = storage::json;
using storage::parent_of;

constexpr std::string_view kJournal = ".swap.json", kAside = ".swap-";
constexpr std::string_view kRejected = "/.rejected/";  // in the folder kept aside
constexpr std::array<std::string_view, 4> kStates = {"", "forward", "adopting", "back"};

Error invalid_plan(std::string detail) {
    return {Errc::unprocessable, "invalid-plan", std::move(detail)};
}

std::string base_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

bool is_inner_path(const std::string& path) {
    if (path.empty() || path.back() == '/') return false;
    for (std::size_t from = 0; from <= path.size();) {
        const std::size_t to = std::min(path.find('/', from), path.size());
        const std::string_view name = std::string_view(path).substr(from, to - from);
        if (name.empty() || name == "." || name == ".." || name.find('\0') != name.npos) {
            return false;
        }
        from = to + 1;
    }
    return true;
}

std::optional<Swap> Swap::unfinished(storage::FileSystem& files, const std::string& directory) {
    Swap swap(files, directory);
    const std::string half = std::string(kJournal) + ".tmp";  // of a kill while it was written
    if (swap.has(half)) files.remove(swap.at(half));
    if (swap.has(std::string(kJournal))) {
        swap.read();
        return swap;
    }
    for (const std::string& name : files.list(directory)) {
        if (name.starts_with(kAside)) std::filesystem::remove_all(swap.at(name));
    }
    return std::nullopt;
}

Swap::Swap(storage::FileSystem& files, const std::string& directory, std::vector<SwapItem> plan,
           std::int64_t now_ms)
    : Swap(files, directory) {
    if (has(std::string(kJournal))) {
        throw Error(Errc::conflict, "swap-running", "another restore is not finished");
    }
    aside_ = fmt::format("{}{}", kAside, now_ms);
    for (SwapItem& item : plan) {
        for (std::string* const path : {&item.path, &item.staged}) {
            if (path->ends_with('/')) path->pop_back();
        }
        if (!is_inner_path(item.path) || (!item.staged.empty() && !is_inner_path(item.staged))) {
            throw invalid_plan("a path leads out of the data directory");
        }
        if (!item.staged.empty() && !has(item.staged)) {
            throw invalid_plan(fmt::format("nothing is staged for {}", item.path));
        }
        expand(item);
    }
    try {
        write(State::forward);
    } catch (const std::system_error&) {
        files_->remove(at(std::string(kJournal)));  // or the next start would carry it out
        throw;
    }
}

// A file with those beside it, from both places.
void Swap::expand(const SwapItem& item) {
    items_.push_back({item.path, item.staged, false});
    std::vector<std::string> suffixes;
    for (const std::string& path : {item.path, item.staged}) {
        for (const std::string& companion : companions(path)) {
            suffixes.push_back(companion.substr(path.size()));
        }
    }
    std::sort(suffixes.begin(), suffixes.end());
    suffixes.erase(std::unique(suffixes.begin(), suffixes.end()), suffixes.end());
    for (const std::string& suffix : suffixes) {
        const bool is_staged = !item.staged.empty() && has(item.staged + suffix);
        items_.push_back({item.path + suffix, is_staged ? item.staged + suffix : "", true});
    }
}

// What lies beside a path and goes on with a dot where its name ends.
std::vector<std::string> Swap::companions(const std::string& path) const {
    std::vector<std::string> found;
    if (path.empty() || !files_->exists(parent_of(at(path)))) return found;
    const std::string mark = base_of(path) + ".";
    for (const std::string& name : files_->list(parent_of(at(path)))) {
        if (name.starts_with(mark)) found.push_back(path + name.substr(mark.size() - 1));
    }
    return found;
}

std::vector<std::string> Swap::paths() const {
    std::vector<std::string> paths;
    for (const Item& item : items_) {
        if (!item.goes_along) paths.push_back(item.path);
    }
    return paths;
}

void Swap::write(State state) {
    std::string items;
    for (const Item& item : items_) {
        items += fmt::format(R"({}{{"path":{},"staged":{},"goes_along":{}}})",
                             items.empty() ? "\n" : ",\n", json::quoted(item.path),
                             json::quoted(item.staged), item.goes_along);
    }
    storage::write_atomically(
        *files_, at(std::string(kJournal)),
        fmt::format(
            "{{\"larder\":\"swap\",\"version\":1,\"state\":\"{}\",\"aside\":{},\"items\":[{}"
            "\n]}}\n",
            kStates.at(static_cast<std::size_t>(state)), json::quoted(aside_), items));
    state_ = state;
}

void Swap::read() {
    const std::string path = at(std::string(kJournal));
    const std::string text = storage::read_file(*files_, path);
    const auto corrupt = [&](std::string_view why) {
        return Error(Errc::corrupt, "swap-journal",
                     fmt::format("{}: {}; a restore was cut short and cannot be finished by this "
                                 "version: use the one that began it",
                                 path, why));
    };
    try {
        json::check(text);
    } catch (const json::InvalidJson& fault) {
        throw corrupt(fault.what());
    }
    std::size_t state = 0;
    for (json::Walk walk(text); walk.next();) {
        const std::string name = json::unquoted(walk.name());
        if (name == "version" && walk.value() != "1") throw corrupt("expected version 1");
        if (name == "aside") aside_ = json::unquoted(walk.value());
        if (name == "state") {
            const auto found =
                std::find(kStates.begin(), kStates.end(), json::unquoted(walk.value()));
            if (found != kStates.end()) state = static_cast<std::size_t>(found - kStates.begin());
        }
        if (name != "items") continue;
        for (json::Walk items(walk.value()); items.next();) {
            Item item;
            for (json::Walk members(items.value()); members.next();) {
                const std::string member = json::unquoted(members.name());
                if (member == "path") item.path = json::unquoted(members.value());
                if (member == "staged") item.staged = json::unquoted(members.value());
                if (member == "goes_along") item.goes_along = members.value() == "true";
            }
            if (!is_inner_path(item.path)) throw corrupt("an item has no path");
            items_.push_back(std::move(item));
        }
    }
    if (state == 0 || !is_inner_path(aside_)) throw corrupt("expected a state and a folder");
    state_ = static_cast<State>(state);
}

// Durable on return, so that no later step is on disk without this one.
void Swap::move(const std::string& from, const std::string& to) {
    files_->make_directory(parent_of(at(to)));
    files_->rename(at(from), at(to));
    files_->sync_directory(parent_of(at(to)));
    files_->sync_directory(parent_of(at(from)));
}

void Swap::forward() {
    for (const Item& item : items_) {
        const std::string kept = aside_ + "/" + item.path;
        // What is staged is there until it is in place, which is after the old one has gone.
        const bool done = item.staged.empty() ? has(kept) : !has(item.staged);
        if (done) continue;
        if (has(item.path)) move(item.path, kept);
        if (!item.staged.empty()) move(item.staged, item.path);
    }
    files_->make_directory(aside());
    write(State::adopting);
}

void Swap::back() {
    if (state_ != State::back) write(State::back);
    // What the new state has grown beside its files is no part of the old one.
    for (const Item& item : items_) {
        if (item.goes_along) continue;
        for (const std::string& grown : companions(item.path)) {
            const bool planned = std::any_of(items_.begin(), items_.end(), [&](const Item& other) {
                return other.path == grown;
            });
            if (!planned) move(grown, aside_ + std::string(kRejected) + grown);
        }
    }
    for (const Item& item : items_) {
        const std::string kept = aside_ + "/" + item.path;
        const bool is_new = has(kept) || (!item.staged.empty() && !has(item.staged));
        if (is_new && has(item.path)) {
            const bool to_stage = !item.staged.empty() && !has(item.staged);
            move(item.path, to_stage ? item.staged : aside_ + std::string(kRejected) + item.path);
        }
        if (has(kept)) move(kept, item.path);
    }
}

void Swap::finish() {
    files_->remove(at(std::string(kJournal)));
    files_->sync_directory(directory_);
    std::error_code left;  // what cannot be removed now goes at the next start
    std::filesystem::remove_all(aside(), left);
}

}  // namespace larder::plugin_host
