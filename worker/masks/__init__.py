"""Finding the shape in a picture: which pixels belong to the thing and which to what lies behind it.

It never fails on a decodable picture that shows anything, and it says which road it took and how sure it is.
It knows nothing of meshes. numpy and OpenCV only.
"""

from worker.masks.mask import Mask, Road, find_mask
from worker.masks.picture import WorkingPicture, working_picture

__all__ = ["Mask", "Road", "WorkingPicture", "find_mask", "working_picture"]
