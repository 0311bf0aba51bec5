"""ULog, the format of PX4: pyulog reads the messages, numpy and Arrow turn them into columns part by part."""
