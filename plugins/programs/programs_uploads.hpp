// Programs on their way in: a form's file staged, judged, unpacked if it is a project, and handed
// to the store. What is refused, or breaks off, leaves nothing.
#pragma once

#include <memory>

#include "larder/http.hpp"
#include "programs_store.hpp"

namespace larder::programs {

class UploadRoutes {
public:
    explicit UploadRoutes(ProgramStore& store) : store_(store) {}
    void declare(Routes& routes);

private:
    ProgramStore& store_;
};

// A file's name made safe to be one in a program's folder; keeps its extension.
std::string safe_script_name(std::string_view sent);

}  // namespace larder::programs
