"""ROS bags: `.bag` of ROS 1 and `.db3` of ROS 2, read in the order of the file; their messages are decoded by the codec."""
