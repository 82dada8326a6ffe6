// Document stores in backups: as they stand at one moment, written at leisure beside new changes.
// Not what follows a restore: that is succession.hpp.
#pragma once

#include <string>
#include <vector>

#include "larder/snapshot.hpp"
#include "storage-kit/document_store.hpp"

namespace larder::storage {

// Keeps the documents, not the files: a store may be changed, emptied and closed meanwhile.
class StoreMoment final : public Moment {
public:
    // What is written passes through `scratch`, a folder in the data directory that belongs to the
    // plugin alone and is removed in the end: "kv/.moment".
    StoreMoment(std::string data_directory, std::string scratch);

    // `file` is the store's place in the data directory: "kv/notes.json". Its plugin is held.
    // Throws Error{io_failed} for a store that cannot be read. [any]
    void add(std::string file, const DocumentStore& store, Shape shape = {});

    // Gives the sink each store's readable file and its .meta. Throws Error, std::system_error.
    // [worker]
    void write(SnapshotSink& sink) override;

private:
    struct Pinned {
        std::string file;
        Shape shape;
        Version version;
        std::vector<DocumentPtr> documents;
    };
    const std::string data_directory_, scratch_;
    std::vector<Pinned> stores_;
};

}  // namespace larder::storage
