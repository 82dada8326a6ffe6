// The readable file and the .meta beside it: how they are written and read (FORMAT.md).
// Not recovery: what an edit or a journal means for the store is recovery.cpp's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "storage-kit/digest.hpp"
#include "storage-kit/document_store.hpp"
#include "storage-kit/file_system.hpp"
#include "storage-kit/index.hpp"

namespace larder::storage::checkpoint {

// The names of a store's files.
struct Paths {
    explicit Paths(const std::string& readable, Shape around = {});
    std::string json, json_tmp, meta, meta_tmp;
    std::string journal, journal_old, journal_new;
    std::string folder;
    Shape shape;
};

// The first line of a .meta.
struct Head {
    std::uint64_t epoch = 1;
    std::uint64_t revision = 0;  // no document's is greater
    std::uint64_t folded = 0;    // every change up to this one is in the file, later ones may be
    std::uint64_t keys = 0;
    std::string json_sha256;      // of the readable file that this one belongs to
    std::string previous_sha256;  // of the one before; empty where there was none
};

// A document's line in a .meta.
struct Line {
    Stamp stamp;
    std::string_view key_literal;  // in quotes
    std::string_view metadata;
    std::string_view value_hash;  // hash_of() its value
};

std::string hash_of(Sha256& sha, std::string_view value);  // 16 hex digits

// Writes both files under their temporary names, documents in byte order. [worker]
class Writer {
public:
    Writer(FileSystem& files, const Paths& paths);
    void add(const Document& document);
    // Writes what is left and the head, syncs both. Fills in head's keys and json_sha256.
    void finish(Head& head);

private:
    struct Output {
        std::unique_ptr<File> file;
        std::uint64_t offset = 0, synced = 0;
        std::string buffer;
        Sha256 sha;
    };
    static void flush(Output& output);

    const Shape shape_;
    Output json_, meta_;
    Sha256 value_sha_;
    std::uint64_t keys_ = 0, sum_ = 0;
};

// Writes the .meta of a store that was emptied, with no readable file, under its temporary name;
// synced. [committer]
void write_cleared(FileSystem& files, const Paths& paths, const Head& head);

// Reads a readable file and its .meta side by side, if they belong together byte for byte. Nothing
// where they do not, or one is absent. Throws Error{corrupt} for a newer version. [control]
struct Pair {
    Head head;
    Index index;
};
std::optional<Pair> read_pair(FileSystem& files, const std::string& json_path,
                              const std::string& meta_path, const Shape& shape);

// A .meta by itself. `whole` is false where its own sum is wrong or a line is not understood; the
// lines up to there were given to `take` all the same.
struct Meta {
    std::optional<Head> head;
    bool whole = false;
};
Meta read_meta(FileSystem& files, const std::string& path,
               const std::function<void(const Line&)>& take);

// The sum of a file in hexadecimal; empty where there is none.
std::string sha256_of(FileSystem& files, const std::string& path);

// Any readable file, by whomever it was written: calls take(key, compact value) for each member.
// Throws Error{corrupt,"unreadable"} with the offset where it is no JSON object of that shape.
void read_foreign(FileSystem& files, const std::string& path, const Shape& shape,
                  const std::function<void(std::string_view, std::string_view)>& take);

}  // namespace larder::storage::checkpoint
