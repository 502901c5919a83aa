// The line of a box for pictures after one was removed by hand, with a button that has it back.
instantstyle.offerUndo = function(line, restore) {
    "use strict";

    line.hidden = false;
    line.replaceChildren();
    line.classList.add("instantstyle-removed");
    instantstyle.make("span", {textContent: "Removed."}, line);
    const button = instantstyle.make("button", {type: "button", textContent: "Undo",
        className: "instantstyle-button instantstyle-undo"}, line);
    button.addEventListener("click", function(event) {
        event.stopPropagation(); // a click on the box opens the file chooser
        restore();
    });
};
