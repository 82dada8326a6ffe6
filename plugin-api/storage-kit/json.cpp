#include "storage-kit/json.hpp"
