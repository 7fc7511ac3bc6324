/* Where macOS keeps the frameworks; dyld knows them by these names even though
 * the files have moved into its cache. */
#include "iosurface.h"

const char *const iosurface_library = "/System/Library/Frameworks/IOSurface.framework/IOSurface";
const char *const iosurface_corefoundation_library =
    "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation";
