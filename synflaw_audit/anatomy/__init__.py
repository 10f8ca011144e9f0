"""Where in a model its format lives: at which depth it is settled, in which modules it was put.

:func:`~synflaw_audit.anatomy.anatomy.anatomy` sets a model beside its base; what it finds is a
picture on the page that ``synflaw probe --anatomy`` writes, and says which modules a repair should
touch.
"""
